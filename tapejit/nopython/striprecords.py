"""What a strip writes on the tape: coefficients in its loop, and behind it the words of each statement (see ``stripsweep``)."""

from llvmlite import ir as llvm
from llvmlite.ir import instructions

from tapejit.nopython import statementtape, stripsweep
from tapejit.nopython.stripchecks import I32, Line, Operand, Plane, word

_PURE = frozenset("fadd fsub fmul fdiv fneg select fcmp icmp sitofp uitofp fpext fptrunc add sub mul".split())


class Records:
    """The part of ``stripcode.Strip`` that lays out its statements."""

    def _at(self, start, count):
        """A place that is known before the loop."""
        with self.builder.goto_block(self.before):
            return self.builder.add(start, count.value(self.builder, self.n))

    def _is_invariant(self, value):
        """Whether a number is the same in every pass; what computes it is then moved out of the loop."""
        if isinstance(value, (llvm.Constant, llvm.Argument)) or getattr(value, "parent", None) in self.fore:
            return True
        pure = isinstance(value, instructions.Instruction) and value.opname in _PURE
        if not pure or not all(map(self._is_invariant, value.operands)):
            return False
        value.parent.instructions.remove(value)
        value.parent = self.before
        self.before.instructions.append(value)
        self.builder.position_at_end(self.builder.basic_block)
        return True

    def _terms(self, terms, fixed):
        """Write the coefficients that vary, set room aside for those that do not: [(operand, coefficient, place)].

        Without ``fixed`` all are taken to vary.
        Also how many places are new: terms with one coefficient share its place.
        """
        placed, fresh = [], 0
        always = self.label in self.loop.body.always
        for operand, coefficient in terms:
            if fixed and self._is_invariant(coefficient):
                continue
            key = self.label, id(coefficient)
            if key not in self.places:
                self.kept.append(coefficient)
                self.places[key] = place = self._at(self.position, self.terms)
                self.terms.add(1, 0)
                fresh += 1
                if always:
                    self._put(coefficient, place)
                else:
                    slot = self._late(
                        llvm.Constant(coefficient.type, 0.0),
                        lambda value, place=place: self._put(value, place),
                    )
                    self.builder.store(coefficient, slot)
            placed.append((operand, None, self.places[key]))
        for operand, coefficient in terms:
            if fixed and self._is_invariant(coefficient):
                placed.append((operand, coefficient, word(0)))
        return placed, fresh

    def _record(self, terms):
        start = self._open()
        placed, fresh = self._terms(
            terms, fixed=True
        )  # the adjoint of a pass that does not come here is zero
        if not fresh:
            self.terms.add(
                1, 0
            )  # at least a term's room for each statement, which adjoints and counts rely on
        with self.builder.goto_block(self.before):
            number = self.builder.add(self.statement, self.statements.value(self.builder, self.width))
        self.statements.add(1, 0)
        self._close(placed, start, None, number)
        line = Line(number, word(1), changes=(self.row_size, word(0), word(0)))
        index = line.number(self.builder, self.turn, self.row)
        self._remember(index, Operand(line))
        return index

    def _open(self):
        """Where a group's terms begin."""
        return self._at(self.position, self.terms)

    def _close(self, placed, start, total, number=None):
        end = self._at(self.position, self.terms)
        planes = {}
        for operand, coefficient, place in placed:
            plane, row = operand.line.plane
            line = planes.setdefault(plane, {}).setdefault(row, (operand.line, []))
            line[1].append((operand.offset, coefficient, place))
        count = sum(map(len, planes.values()))
        self.terms.add(0, stripsweep.PLANE * len(planes) + stripsweep.LINE * count)
        self.terms.add(0, stripsweep.MEMBER * len(placed) + stripsweep.OWN)
        with self.builder.goto_block(self.before):
            last = self.builder.sub(
                self.builder.add(self.statement, self.statements.value(self.builder, self.n)), word(1)
            )
        self.groups.append((planes, start, end, total, last, number or word(0)))

    def _finish(self):
        builder = self.builder
        for planes, start, end, total, last, number in self.groups:
            words, constants = [], []
            for plane, lines in planes.items():
                joint = plane.joint if isinstance(plane, Plane) else word(1)
                words += [word(len(lines)), joint]
                lines = sorted(lines.items())
                for _, (line, members) in lines:
                    words += [*line.words(self.width), word(len(members))]
                for row, (_, members) in lines:
                    for offset, coefficient, place in members:
                        words += [word(offset), place]
                        constants.append((len(words), coefficient))
                        words += [None, None, word(row - lines[0][0]), word(0)]
            statements = self.n if total is None else word(1)
            of_sum = word(-1) if total is None else total
            words += [number, self.row_size, self.width, word(len(words)), self.n, of_sum, statements, start]
            for k, value in enumerate(words):
                if value is not None:
                    target = builder.gep(self.at.indices, [builder.add(end, word(k))], inbounds=True)
                    builder.store(builder.trunc(value, I32), target, align=4)
            for k, value in constants:
                if value is not None:
                    target = builder.gep(self.at.indices, [builder.add(end, word(k))], inbounds=True)
                    target = builder.bitcast(target, llvm.DoubleType().as_pointer())
                    builder.store(value, target, align=4)
            target = builder.gep(self.at.counts, [last], inbounds=True)
            builder.store(llvm.Constant(I32, statementtape.STRIP), target, align=4)
        statementtape.store_counter(
            builder, builder.add(self.position, self.terms.value(builder, self.n)), self.at.terms
        )
        statementtape.store_counter(
            builder, builder.add(self.statement, self.statements.value(builder, self.n)), self.at.statements
        )
        self.finish_sums()
