"""Functions with an inverse and the logarithm of their Jacobian's determinant: ``torch.distributions.transforms``' names."""

import math

import tapejit as tj
from tapejit.distributions import constraints

__all__ = [
    "AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "IndependentTransform", "PowerTransform",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform", "TanhTransform", "Transform",
    "identity_transform",
]  # fmt: skip


class Transform:
    """Base of the transforms. A subclass gives ``_call(x)``, ``_inverse(y)`` and ``log_abs_det_jacobian(x, y)``.

    Args:
        cache_size: 1 to remember the last argument with its result, so that its inverse is exact.

    Attributes:
        domain, codomain: where arguments and results lie.
        domain_dim, codomain_dim: the dimensions of one argument and of one result.
        sign: 1 for one that rises, -1 for one that falls.
    """

    bijective = True
    domain = codomain = constraints.real
    domain_dim = codomain_dim = 0
    sign = 1
    _made_of = ()  # the attributes that tell it from others of its class

    def __eq__(self, other):
        same = type(self) is type(other)
        return same and (self is other or all(_same(getattr(self, a), getattr(other, a)) for a in self._made_of))

    def __hash__(self):
        return hash(type(self))

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError(f"cache_size is 0 or 1, got {cache_size}")
        self._cache_size, self._last = cache_size, (None, None)

    def __call__(self, x):
        if x is self._last[0]:
            return self._last[1]
        return self._remembered(x, self._call(x))[1]

    @property
    def inv(self):
        """The inverse, a transform."""
        return _Inverse(self)

    def _back(self, y):
        if y is self._last[1]:
            return self._last[0]
        return self._remembered(self._inverse(y), y)[0]

    def _remembered(self, x, y):
        if self._cache_size:
            self._last = x, y
        return x, y

    def _call(self, x):
        raise NotImplementedError

    def _inverse(self, y):
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x, y):
        """log(\\|dy/dx\\|) at x and y = transform(x)."""
        raise NotImplementedError(f"{type(self).__name__}.log_abs_det_jacobian")

    def forward_shape(self, shape):
        """The shape of the result for an argument's."""
        return tuple(shape)

    def inverse_shape(self, shape):
        """The shape of the argument for a result's."""
        return tuple(shape)

    @property
    def event_dim(self):
        """The dimensions of one argument."""
        return self.domain_dim

    def with_cache(self, cache_size=1):
        """The transform itself, remembering or not."""
        self._cache_size = cache_size
        return self

    def __repr__(self):
        return f"{type(self).__name__}()"


def _same(a, b):
    """Whether two numbers, tensors or transforms are equal."""
    if isinstance(a, tj.Tensor) or isinstance(b, tj.Tensor):
        return a is b or bool((tj.as_tensor(a) == tj.as_tensor(b)).all())
    return a == b


class _Inverse(Transform):
    _made_of = ("_transform",)

    def __init__(self, transform):
        super().__init__()
        self._transform = transform

    domain = property(lambda self: self._transform.codomain)
    codomain = property(lambda self: self._transform.domain)
    domain_dim = property(lambda self: self._transform.codomain_dim)
    codomain_dim = property(lambda self: self._transform.domain_dim)
    sign = property(lambda self: self._transform.sign)
    bijective = property(lambda self: self._transform.bijective)
    inv = property(lambda self: self._transform)

    def __call__(self, x):
        return self._transform._back(x)

    def _back(self, y):
        return self._transform(y)

    def log_abs_det_jacobian(self, x, y):
        return -self._transform.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape):
        return self._transform.inverse_shape(shape)

    def inverse_shape(self, shape):
        return self._transform.forward_shape(shape)

    def __repr__(self):
        return f"{self._transform}.inv"


class ComposeTransform(Transform):
    """ComposeTransform(parts): one after the other."""

    _made_of = ("parts",)

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)
        need, have = 0, 0  # dimensions of the first argument so that every part gets as many as one of its own
        for part in self.parts:
            need += max(0, part.domain_dim - have)
            have = max(have, part.domain_dim) + part.codomain_dim - part.domain_dim
        self.domain_dim, self.codomain_dim = need, have

    @property
    def domain(self):
        """Where arguments lie."""
        return _events_of(self.parts[0].domain if self.parts else constraints.real, self.domain_dim)

    @property
    def codomain(self):
        """Where results lie."""
        return _events_of(self.parts[-1].codomain if self.parts else constraints.real, self.codomain_dim)

    @property
    def sign(self):
        """The product of the parts' signs."""
        return math.prod(part.sign for part in self.parts) if self.parts else 1

    @property
    def bijective(self):
        """Whether all parts are."""
        return all(part.bijective for part in self.parts)

    def _call(self, x):
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y):
        for part in reversed(self.parts):
            y = part._back(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        total, events = 0.0, self.domain_dim
        for part in self.parts:
            y = part(x)
            found = part.log_abs_det_jacobian(x, y)
            more = events - part.domain_dim
            total = total + (found.sum(tuple(range(-more, 0))) if more else found)
            events += part.codomain_dim - part.domain_dim
            x = y
        return total if self.parts else tj.zeros_like(x)

    def forward_shape(self, shape):
        for part in self.parts:
            shape = part.forward_shape(shape)
        return tuple(shape)

    def inverse_shape(self, shape):
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return tuple(shape)

    def __repr__(self):
        return f"ComposeTransform({self.parts})"


def _events_of(constraint, dims):
    """A constraint for events of that many dimensions."""
    more = dims - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """IndependentTransform(base, k): k more dimensions are part of one argument."""

    _made_of = ("base_transform", "reinterpreted_batch_ndims")
    domain = property(lambda self: constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims))
    codomain = property(lambda self: constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims))

    def __init__(self, base_transform, reinterpreted_batch_ndims, cache_size=0):
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.domain_dim = base_transform.domain_dim + reinterpreted_batch_ndims
        self.codomain_dim = base_transform.codomain_dim + reinterpreted_batch_ndims
        self.sign, self.bijective = base_transform.sign, base_transform.bijective

    def _call(self, x):
        return self.base_transform(x)

    def _inverse(self, y):
        return self.base_transform._back(y)

    def log_abs_det_jacobian(self, x, y):
        found, k = self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims
        return found.sum(tuple(range(-k, 0))) if k else found

    def forward_shape(self, shape):
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        return self.base_transform.inverse_shape(shape)


class ExpTransform(Transform):
    """exp(x)"""

    codomain = constraints.positive

    def _call(self, x):
        return tj.exp(x)

    def _inverse(self, y):
        return tj.log(y)

    def log_abs_det_jacobian(self, x, y):
        return x


class PowerTransform(Transform):
    """x ** exponent, of positive numbers."""

    domain = codomain = constraints.positive
    _made_of = ("exponent",)

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        self.exponent = tj.as_tensor(exponent)
        self.sign = self.exponent.detach().sign()

    def _call(self, x):
        return x**self.exponent

    def _inverse(self, y):
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        return tj.log((self.exponent * y / x).abs())


class AffineTransform(Transform):
    """loc + scale * x

    Args:
        loc, scale: numbers or tensors.
        event_dim: the dimensions of one argument.
    """

    _made_of = ("loc", "scale", "domain_dim")
    domain = codomain = property(lambda self: _events_of(constraints.real, self.domain_dim))

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        self.domain_dim = self.codomain_dim = event_dim

    @property
    def sign(self):
        """The scale's sign."""
        if isinstance(self.scale, tj.Tensor):
            return self.scale.detach().sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        if isinstance(self.scale, tj.Tensor):
            found = tj.log(self.scale.abs()).expand(tj.broadcast_shapes(self.scale.shape, x.shape))
        else:
            found = tj.full_like(x, math.log(abs(self.scale)))
        return found.sum(tuple(range(-self.domain_dim, 0))) if self.domain_dim else found

    def forward_shape(self, shape):
        return tuple(tj.broadcast_shapes(shape, *(x.shape for x in (self.loc, self.scale) if isinstance(x, tj.Tensor))))

    inverse_shape = forward_shape

    def __repr__(self):
        return f"AffineTransform(loc={self.loc}, scale={self.scale})"


class SigmoidTransform(Transform):
    """1 / (1 + exp(-x))"""

    codomain = constraints.unit_interval

    def _call(self, x):
        info = tj.finfo(x.dtype)
        return tj.clamp(tj.sigmoid(x), info.tiny, 1 - info.eps)

    def _inverse(self, y):
        info = tj.finfo(y.dtype)
        y = tj.clamp(y, info.tiny, 1 - info.eps)
        return tj.log(y) - tj.log1p(-y)

    def log_abs_det_jacobian(self, x, y):
        return -tj.softplus(-x) - tj.softplus(x)


class SoftplusTransform(Transform):
    """log(1 + exp(x))"""

    codomain = constraints.positive

    def _call(self, x):
        return tj.softplus(x)

    def _inverse(self, y):
        return tj.log(-tj.expm1(-y)) + y

    def log_abs_det_jacobian(self, x, y):
        return -tj.softplus(-x)


class TanhTransform(Transform):
    """tanh(x): give ``cache_size=1`` where the inverse of its own results is asked for."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x):
        return tj.tanh(x)

    def _inverse(self, y):
        return tj.atanh(y)

    def log_abs_det_jacobian(self, x, y):
        return 2.0 * (math.log(2.0) - x - tj.softplus(-2.0 * x))


class AbsTransform(Transform):
    """The absolute value; its inverse gives the positive number."""

    bijective = False
    codomain = constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse(self, y):
        return y


class SoftmaxTransform(Transform):
    """Vectors to probabilities; its inverse is the logarithm. Not one to one, and so without a determinant."""

    bijective = False
    domain, codomain = constraints.real_vector, constraints.simplex
    domain_dim = codomain_dim = 1

    def _call(self, x):
        return tj.softmax(x, -1)

    def _inverse(self, y):
        return tj.log(y)


class StickBreakingTransform(Transform):
    """Vectors of n numbers to n + 1 probabilities: each is a share, by a sigmoid, of what the ones before have left."""

    domain, codomain = constraints.real_vector, constraints.simplex
    domain_dim = codomain_dim = 1

    @staticmethod
    def _offset(x):
        n = x.shape[-1]
        return tj.log(tj.arange(float(n), 0.0, -1.0, dtype=x.dtype))

    def _call(self, x):
        z = tj.clamp(tj.sigmoid(x - self._offset(x)), tj.finfo(x.dtype).tiny, 1 - tj.finfo(x.dtype).eps)
        left = tj.cumprod(1 - z, -1)
        one = tj.ones_like(x[..., :1])
        return tj.cat([z, one], -1) * tj.cat([one, left], -1)

    def _inverse(self, y):
        head = y[..., :-1]
        left = tj.clamp(1 - tj.cumsum(head, -1), min=tj.finfo(y.dtype).tiny)
        return tj.log(head) - tj.log(left) + self._offset(head)

    def log_abs_det_jacobian(self, x, y):
        shifted = x - self._offset(x)
        return (-shifted + tj.logsigmoid(shifted) + tj.log(y[..., :-1])).sum(-1)

    def forward_shape(self, shape):
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        return (*shape[:-1], shape[-1] - 1)
