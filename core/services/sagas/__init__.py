"""What drives the sagas; this is the order in which to read a saga's way from its claim to its append.

1. claim: `runner.SagaRunner.claim` takes the sagas that are due, each with a lease
2. load: `work.load_work` reads the saga's stream, its order and its payment
3. advance: `advance.advance` asks the saga's table for the next move, and repeats until there is none or it must wait
4. decide: `advance` runs the move's action; `stock` decides together on a SKU that many orders want
5. append: `work.SagaAppend` is what one append records: the effect, the saga's own events, its row, and the guards

`steer` is how an operator decides, by the same loading and the same append.
"""
