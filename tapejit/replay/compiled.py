"""The forms of a program for other callers: ``nopython`` for jitted code, ``into`` for calls that allocate nothing."""

import functools

import numpy as np
from llvmlite import ir
from numba import from_dtype, njit
from numba.core import cgutils, errors, types
from numba.extending import intrinsic

from tapejit.replay.signature import longer_arrays
from tapejit.replay.trees import LEAF, Whole


def _address(value):
    """An intrinsic that gives an address of this process; Numba does not cache code that holds one."""

    @intrinsic
    def address(typingctx):
        def codegen(context, builder, signature, args):
            pointer = context.add_dynamic_addr(builder, value, info="tapejit program")
            return builder.ptrtoint(pointer, context.get_value_type(types.intp))

        return types.intp(), codegen

    return address


@intrinsic
def _place(typingctx, array):
    """The address of an array's first element."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return types.intp(array), codegen


def _expecting(name, wanted):
    """An intrinsic that lets the types of a tuple of arguments pass, or refuses them while the caller is compiled.

    Args:
        wanted: for each argument its name, its shape and dtype (None for a float), and whether it is written.
    """

    @intrinsic
    def expect(typingctx, arguments):
        for (place, spec, written), found in zip(wanted, arguments, strict=True):
            problem = _mismatch(spec, written, types.unliteral(found))
            if problem:
                raise errors.TypingError(f"{name}: {place} must be {problem}, got {found}")

        def codegen(context, builder, signature, args):
            return context.get_dummy_value()

        return types.void(arguments), codegen

    return expect


def _mismatch(spec, written, found) -> str:
    """What an argument of a type should have been, nothing if it is."""
    if spec is None:
        return "" if found == types.float64 else "a float64 as it was recorded (write 2.0 or float(n) for an integer)"
    shape, dtype = spec
    dtype = from_dtype(np.dtype(dtype))
    fits = isinstance(found, types.Array) and found.dtype == dtype and found.ndim == len(shape)
    if fits and (found.mutable or not written):
        return ""
    return f"{'a writable' if written else 'an'} array of {dtype} of shape {tuple(shape)}"


@functools.cache
def _runner(count, given=()):
    """An intrinsic that runs a program on a tuple of arrays and floats, and gives the status and ``count`` floats.

    Args:
        given: (place among the arguments, bytes) of the arrays for results that are the caller's. If they share memory with
            what is read, ``apart`` being true, memory of their own takes the results first. (That Numba's arrays have no part
            in this keeps the counting of references out of the caller's loop.)
    """

    @intrinsic
    def run(typingctx, program, workspace, arguments, apart):
        result = types.Tuple((types.int64, *[types.float64] * count))

        def codegen(context, builder, signature, args):
            kinds = signature.args[2]
            pointer = ir.IntType(8).as_pointer()
            total = len(kinds) + count
            table = cgutils.alloca_once(builder, pointer, size=max(total, 1))
            aside = _Aside(context, builder, args[3], given) if given else None
            places = {}
            outputs = []
            for j in range(total):
                if j < len(kinds):
                    value = builder.extract_value(args[2], j)
                    if isinstance(kinds[j], types.Array):
                        place = context.make_array(kinds[j])(context, builder, value).data
                        places[j] = place = builder.bitcast(place, pointer)
                        place = aside.place(j, place) if aside else place
                    else:
                        place = cgutils.alloca_once_value(builder, value)
                else:
                    place = cgutils.alloca_once(builder, ir.DoubleType())
                    outputs.append(place)
                builder.store(builder.bitcast(place, pointer), builder.gep(table, [ir.IntType(64)(j)]))
            kind = ir.FunctionType(ir.IntType(64), [pointer.as_pointer(), pointer])
            function = builder.inttoptr(args[0], kind.as_pointer())
            status = builder.call(function, [table, builder.inttoptr(args[1], pointer)])
            if aside:
                aside.finish(status, places)
            return context.make_tuple(builder, result, [status, *map(builder.load, outputs)])

        return result(types.intp, types.intp, arguments, types.boolean), codegen

    return run


class _Aside:
    """Memory for results that are written to their arrays when a program has read all it reads."""

    def __init__(self, context, builder, apart, given):
        self.builder, self.apart = builder, apart
        word, byte = ir.IntType(64), ir.IntType(8).as_pointer()
        self.offsets, size = {}, 0
        for j, nbytes in given:
            self.offsets[j] = size, nbytes
            size += -(-nbytes // 64) * 64
        self.memory = cgutils.alloca_once_value(builder, ir.Constant(byte, None))
        allocate = ir.FunctionType(byte, [word])
        with builder.if_then(apart, likely=False):
            fn = cgutils.get_or_insert_function(builder.module, allocate, "NRT_Allocate")
            memory = builder.call(fn, [word(max(size, 1) + 64)])
            with builder.if_then(cgutils.is_null(builder, memory), likely=False):
                context.call_conv.return_user_exc(builder, MemoryError, ("no memory for results that overlap",))
            builder.store(memory, self.memory)

    def _own(self, j):
        """The aligned place of a result."""
        word = ir.IntType(64)
        memory = self.builder.ptrtoint(self.builder.load(self.memory), word)
        aligned = self.builder.and_(self.builder.add(memory, word(63)), word(-64))
        return self.builder.inttoptr(self.builder.add(aligned, word(self.offsets[j][0])), ir.IntType(8).as_pointer())

    def place(self, j, place):
        return self.builder.select(self.apart, self._own(j), place) if j in self.offsets else place

    def finish(self, status, places):
        builder = self.builder
        with builder.if_then(self.apart, likely=False):
            with builder.if_then(builder.icmp_signed("==", status, status.type(0))):
                for j, (_, nbytes) in self.offsets.items():
                    cgutils.raw_memcpy(builder, places[j], self._own(j), ir.IntType(64)(nbytes), 1)
            free = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
            fn = cgutils.get_or_insert_function(builder.module, free, "NRT_Free")
            builder.call(fn, [builder.load(self.memory)])


def nopython_function(name, programs, key, into):
    """A jitted function of the recorded arguments that runs the first of the programs whose guards hold.

    Types are those of the recording, and no others are converted: what does not fit is a typing error where it is called.

    Args:
        name: of the replayed function, for messages.
        programs: compiled programs of one signature.
        key: of the signature; its arguments are numbers and arrays only.
        into: whether the arrays for the results are arguments, after the others. They may share memory with one another
            and with all that is read.

    Raises:
        TypeError: for arguments or results that are not numbers, arrays or tuples of them.
    """
    if any(p != LEAF for p in key[0][0]):
        raise TypeError("nopython needs a function whose arguments are floats and arrays")
    compiled = _Writer(name, programs, longer_arrays(key), into).function()
    compiled.programs = programs  # whose machine code it runs
    return compiled


class _Writer:
    """The source of the functions for some programs of one signature.

    Args:
        longer: by number of an array how much longer it is than the call, of which the length is a further input.
    """

    def __init__(self, name, programs, longer, into):
        self.programs, self.longer, self.into = programs, longer, into
        first = programs[0]
        inputs = first.frozen.inputs
        self.inputs = [(f"a{j}", spec) for j, spec in enumerate(inputs[: len(inputs) - bool(longer)])]
        self.results = [(f"o{i}", spec) for i, spec in enumerate(first.specs)]
        self.given = [(o, spec) for o, spec in self.results if spec[0] != ()] if into else []
        wanted = [(f"argument {j + 1}", spec, False) for j, (_, spec) in enumerate(self.inputs)]
        wanted += [(f"argument {len(wanted) + i + 1}", spec, True) for i, (_, spec) in enumerate(self.given)]
        self.scope = {"empty": np.empty, "place": _place}
        places = ((len(inputs) + k, r) for k, r in enumerate(self.results))
        given = tuple((j, _size(r[1])) for j, r in places if r in self.given)
        self.scope["run"] = _runner(len(first.scalars), given)
        self.scope["expect"] = _expecting(name, wanted)
        for o, (_, dtype) in self.results:
            self.scope[f"t{o}"] = np.dtype(dtype).type
        for k, program in enumerate(programs):
            self.scope[f"code{k}"] = _address(program.machine.address)
            self.scope[f"space{k}"] = _address(program.machine.workspace)

    def function(self):
        """The jitted function."""
        arguments = ", ".join(n for n, _ in (*self.inputs, *self.given))
        lines = [f"def replay({arguments}):", f"    expect(({arguments}{',' * bool(arguments)}))", *self._checks()]
        made = [r for r in self.results if r not in self.given]
        target = {o: f"m{o}" if r in made else o for r in self.results for o in r[:1]}
        lines += [f"    m{o} = empty({tuple(shape)}, t{o})" for o, (shape, _) in made]
        lines += [f"    apart = {self._overlap() if self.given else 'False'}"]
        length = ["float(length)"] if self.longer else []
        leaves = "".join(f"{n}, " for n in [*(n for n, _ in self.inputs), *length, *target.values()])
        for k, program in enumerate(self.programs):
            spans = " or ".join(f"{least} <= length <= {most}" for least, most in program.frozen.spans)
            lines += [f"    if {spans or True}:", f"        r = run(code{k}(), space{k}(), ({leaves}), apart)"]
            lines += ["        if r[0] == 0:", f"            return {self._answer(program, target)}"]
        lines += ["    raise RuntimeError('no recorded path fits these arguments; call the function from Python first')"]
        exec(compile("\n".join(lines), "<tapejit replay>", "exec"), self.scope)
        return njit(nogil=True)(self.scope["replay"])

    def _checks(self):
        """Lines that refuse arrays whose shape, order or alignment is not what was recorded."""
        lines = []
        for j, more in list(self.longer.items())[:1]:
            lines += [f"    length = a{j}.shape[0] - {more}"]
        for j, (n, spec) in enumerate((*self.inputs, *self.given)):
            if spec is not None:
                shape, size = tuple(spec[0]), np.dtype(spec[1]).itemsize
                if j in self.longer:
                    shape = f"length + {self.longer[j]}", *shape[1:]
                wanted = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
                lines += [
                    f"    if {n}.shape != ({wanted}) or not {n}.flags.c_contiguous or place({n}) % {size} != 0:",
                    f"        raise ValueError('recorded for contiguous, aligned arrays of shape ({wanted}) in place {n}')",
                ]
        return lines

    def _overlap(self):
        """An expression: whether an array for the results shares memory with another, an input, or what is read outside."""
        ranges = [(f"place({n})", f"{n}.nbytes") for n, spec in self.inputs if spec is not None]
        for program in self.programs:
            for array in program.frozen.graph.arrays:
                low, high = np.lib.array_utils.byte_bounds(array)
                ranges.append((str(low), high - low))
        tests = []
        for o, spec in self.given:
            mine = f"place({o})", _size(spec)
            tests += [f"({mine[0]} < {a} + {n} and {a} < {mine[0]} + {mine[1]})" for a, n in dict.fromkeys(ranges)]
            ranges.append(mine)
        return " or ".join(tests) or "False"

    def _answer(self, program, target):
        results = [None] * len(program.order)
        for (o, (shape, _)), j in zip(self.results, program.arrays, strict=True):
            results[j] = f"{target[o]}[()]" if shape == () else o if (o, (shape, _)) in self.given else target[o]
        for i, j in enumerate(program.scalars):
            results[j] = f"r[{i + 1}]"
        return expression(program.structure, iter(results), self.scope)


def _size(spec) -> int:
    """The bytes of an array."""
    return int(np.prod(spec[0], dtype=np.int64)) * np.dtype(spec[1]).itemsize


def expression(structure, names, scope) -> str:
    """The Python expression that puts results together."""
    if structure == LEAF:
        return next(names)
    kind = structure[0]
    name = f"K{len(scope)}"
    if kind == "static":
        scope[name] = structure[2]
        return name
    if len(structure) == 3:
        scope[name] = kind
        pairs = ", ".join(f"({k!r}, {expression(s, names, scope)})" for k, s in zip(structure[1], structure[2], strict=True))
        return f"{name}([{pairs}])"
    items = [expression(s, names, scope) for s in structure[1]]
    if kind is Whole:
        return f"int({items[0]})"
    if kind is tuple:
        return f"({''.join(i + ', ' for i in items)})"
    if kind is list:
        return f"[{', '.join(items)}]"
    scope[name] = kind
    return f"{name}({', '.join(items)})" if hasattr(kind, "_fields") else f"{name}([{', '.join(items)}])"
