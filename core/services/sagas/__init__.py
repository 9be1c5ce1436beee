"""The code that runs the sagas. Read it in the order of what happens to one saga.

1. claim: `runner.SagaRunner.claim` takes the sagas that are due, each with a lease
2. load: `work.load_work` reads the saga's stream, its order and its payment
3. advance: `advance.advance` makes the next move of the saga's table, again and again, until there is none or it waits
4. decide: `advance` runs the action of the move; `stock` decides for many orders of one SKU together
5. append: `work.SagaAppend` records the effect, the saga's own events and its row, and checks the guards

A saga that a runner has just started is not claimed: `advance.begin` records its start, and it is advanced from there.

`steer` records what an operator decides about a saga. It loads and appends with the same functions.
"""
