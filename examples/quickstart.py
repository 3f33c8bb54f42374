"""Automatic differentiation in one page: tensors that remember how they were computed.

python examples/quickstart.py
"""

import tapejit as torch  # PyTorch's names and meanings; code written for its tensors runs unchanged


def section(title):
    print(f"\n# {title}")


section("A gradient: y = 2 x·x has the gradient 4x")
x = torch.arange(4.0, requires_grad=True)
y = 2 * torch.dot(x, x)
print("x      =", x)
print("y      =", y)
y.backward()
print("x.grad =", x.grad, "  equals 4x:", bool((x.grad == 4 * x).all()))

section("Gradients add up until they are reset")
x.sum().backward()
print("after x.sum().backward() on top:", x.grad)
x.grad.zero_()
x.sum().backward()
print("after zero_() and once more:    ", x.grad)

section("A result with many entries needs a weight for each")
x.grad.zero_()
y = x * x
try:
    y.backward()
except RuntimeError as error:
    print("y.backward() says:", error)
y.backward(gradient=torch.ones(len(y)))
print("with a gradient of ones:", x.grad)

section("detach cuts the way back")
x.grad.zero_()
y = x * x
u = y.detach()  # the same numbers, seen as constants
(x * u).sum().backward()
print("through x * u only x counts:", x.grad, "  equals u:", bool((x.grad == u).all()))
x.grad.zero_()
y.sum().backward()
print("y itself still leads back to x:", x.grad)

section("Loops and branches: the path taken is what is differentiated")


def f(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


for start in (0.7, -0.7):
    a = torch.tensor(start, requires_grad=True)
    d = f(a)
    d.backward()
    ratio = (d / a).item()
    print(f"a = {start:4}: f(a) = {d.item():9.1f}, gradient {a.grad.item():6.0f} = f(a) / a = {ratio:6.0f}")

section("Derivatives of derivatives: x³ at x = 2")
x = torch.tensor(2.0, requires_grad=True)
y = x**3
(first,) = torch.autograd.grad(y, x, create_graph=True)
(second,) = torch.autograd.grad(first, x)
print("first: ", first.item(), " second:", second.item())

section("Fit a line: a plain update loop")
torch.manual_seed(0)
inputs = torch.linspace(-1, 1, 50)
targets = 3 * inputs - 0.5 + 0.1 * torch.randn(50)
slope, offset = (torch.zeros((), requires_grad=True) for _ in range(2))
for _ in range(200):
    loss = ((slope * inputs + offset - targets) ** 2).mean()
    loss.backward()
    with torch.no_grad():  # the update itself is not to be differentiated
        for parameter in (slope, offset):
            parameter -= 0.3 * parameter.grad
            parameter.grad.zero_()
print(f"slope {slope.item():.2f} (true 3), offset {offset.item():.2f} (true -0.5), loss {loss.item():.4f}")
