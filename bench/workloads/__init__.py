"""One module per problem; ``bench.harness.load`` imports them all.

At the top of such a module stand NumPy and the harness alone: libraries are imported where they are used, so that a
process that measures one of them has nothing else in it. Data is made by cached functions, when first asked for.
"""
