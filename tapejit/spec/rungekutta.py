"""Dormand and Prince's pair of orders 5 and 4 (J. Comput. Appl. Math. 6, 1980), and what its users say of it."""

NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
RESULT = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
WILD = 1e12  # an error, in multiples of what is allowed, after which nothing of the step is used
STABLE = 3.3  # how far the method is stable on the negative real axis
STIFF = (
    "odeint(): {} steps do not reach the next time, because the equation is stiff: the steps are kept short by what dies away "
    "fast, not by the errors. Use an implicit method: tj.optimize.solve_ivp(..., method='Radau') for values, steps by "
    "tj.implicit.root for derivatives; if the parameters make it so on their way to a fit, bound them"
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # fifth order less fourth
CHOICE = (
    "odeint(): adjoint={!r}, checkpoint={}; 'discrete', or 'continuous', which keeps nothing between the times and has no "
    "use for a checkpoint"
)
