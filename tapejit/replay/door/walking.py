"""Which program answers each example of a batch: where its guards do not hold, those say which one is tried next."""

from tapejit.edge.raw import as_i64, ask2

# The words of a job. The programs, their workspaces, and where their rows in LEADS begin, which say for each status of one
# which program follows:
CODES, SPACES, ROWS, LEADS = range(4)
# How many examples, and addresses that a program takes; where these stand, those of example 0 for each program, and the bytes
# from one example to the next; the numbers of the examples, and the program that answered each:
COUNT, WIDTH, TABLE, FIRST, STEP, WHICH, ANSWERED = range(4, 11)
# Where to go on, the example, the program, and the status that it left; the program to begin with; whether an example begins
# with the one that answered the last; the most programs to try:
EXAMPLE, PROGRAM, LEFT, START, STAYS, HOPS = range(11, 17)
NOWHERE, UNKNOWN = -1, -2


def walk(job):
    """Answer examples until one needs a lead that is not known; EXAMPLE is then its place, else it is COUNT."""
    j = as_i64(job)
    width, table, which, answered = j[WIDTH], as_i64(j[TABLE]), as_i64(j[WHICH]), as_i64(j[ANSWERED])
    codes, spaces, rows, leads = as_i64(j[CODES]), as_i64(j[SPACES]), as_i64(j[ROWS]), as_i64(j[LEADS])
    p = j[PROGRAM]
    for i in range(j[EXAMPLE], j[COUNT]):
        answered[i] = NOWHERE
        for _ in range(j[HOPS]):
            first, step = as_i64(j[FIRST] + 8 * p * width), as_i64(j[STEP] + 8 * p * width)
            for k in range(width):
                table[k] = first[k] + which[i] * step[k]
            status = ask2(codes[p], j[TABLE], spaces[p])
            if status == 0:
                answered[i] = p
                break
            following = NOWHERE
            if 0 < status < rows[p + 1] - rows[p]:
                following = leads[rows[p] + status]
            if following == UNKNOWN:
                j[EXAMPLE], j[PROGRAM], j[LEFT] = i, p, status
                return
            if following == NOWHERE:
                break
            p = following
        if answered[i] == NOWHERE or j[STAYS] == 0:
            p = j[START]
    j[EXAMPLE] = j[COUNT]
