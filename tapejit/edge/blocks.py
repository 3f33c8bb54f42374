"""The layout of the blocks of words by which the door knows replayed functions: one word is 64 bits.

Fields are numbered from 0; objects and other blocks are referred to by address.
"""

MOST = 256  # leaves of the arguments or of the results, registers

# Bytes from the start of a replayed function: the address of the C function that is called, and the array of its block.
VECTORCALL, BLOCK = 16, 24
# The instance's block.
ENVIRONMENT, FIRST, USED, INSTANCE_WORDS = range(4)
# What all share.
(
    FLOAT_TYPE, NUMPY_FLOAT_TYPE, INTEGER_TYPE, ARRAY_TYPE, TUPLE_TYPE, LIST_TYPE, DICT_TYPE, NONE, NEW_ARRAY, ACTIVE,
    GENERAL, GENERAL_INTO, ANSWER_CALL, ENVIRONMENT_WORDS,
) = range(14)  # fmt: skip
# A signature: the Python object that owns the words, its successor, the program last used, and what is tested: first
# containers and static values, from LEAF_TESTS on arrays and numbers. LENGTH is 1 + the leaf that is the length of a call, 0
# for none, which is to be LEAST or more, and MOST at most. WATCH owns the watched places (0: there are none),
# and WATCH_RUNS says whether looking at them runs Python code.
(
    OBJECT, NEXT, LAST, ARGUMENTS, TESTS, LEAF_TESTS, TEST_COUNT, WATCH, WATCHED, WATCH_COUNT, WATCH_RUNS,
    LENGTH, LEAST, MOST_LENGTH, SIGNATURE_WORDS,
) = range(15)  # fmt: skip
# One test of an argument: what it must be, the register it is in, and parameters; LONG_ARRAY is one of which the first size is
# the length of the call and a number, the first of its sizes here, and WHOLE an int that is the length and P.
KIND, REGISTER, P, Q, R, LEAF, TEST_WORDS = range(7)
NUMBER, ARRAY, SAME, TUPLE, LIST, DICT, LONG_ARRAY, WHOLE = range(8)
# One watched place: an object that must still be what it was; or a number that is put where VALUE says; or a list or dict as
# owner, the addresses of what it held (0 for a number that may change), and how many.
PLACE, OWNER, NAME, VALUE, WATCH_WORDS = range(5)
CELL, ITEM, ATTRIBUTE, ANSWER, CELL_NUMBER, ITEM_NUMBER, LIST_HOLDS, DICT_HOLDS = range(8)
# A program; its first word is the Python object that owns the words. GIVEN of its arrays have dimensions. MATRIX is where the
# words are for a matrix that takes the one array of the result, 0 for none.
(
    _, CODE, WORKSPACE, LONG, CALLS, INPUTS, ARRAYS, GIVEN, SPECS, SCALARS, TURNS, RESULT, RESULT_COUNT, OUTSIDE,
    OUTSIDE_COUNT, MATRIX, PROGRAM_WORDS,
) = range(17)  # fmt: skip
# Such a matrix: its class, its arrays of places, which must be these very ones, and the names of these and of its entries.
CLASS, COLUMNS, ROWS, COLUMNS_NAME, ROWS_NAME, ENTRIES_NAME, MATRIX_WORDS = range(7)
# One array of the results: what it is, whether it may be kept, and two that were made before.
DTYPE, NDIM, SHAPE, BYTES, KEEP, KEPT, KEPT_TOO, SPEC_WORDS = range(8)
# One step of putting results together, on a stack of objects.
PUSH_NUMBER, PUSH_ARRAY, PUSH_OBJECT, MAKE_TUPLE, MAKE_LIST, APPLY = range(6)
