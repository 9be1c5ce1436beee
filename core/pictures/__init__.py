"""The picture of a saga: each step beside what undoes it on a time axis, for the deck, for a terminal and as SVG.

Everything here is pure. It knows only what the query API answers, so it can draw a saga of another release too.
"""
