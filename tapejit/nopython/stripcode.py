"""Code for a loop in strips: the checks, the loop that records a strip, and the way back to single passes.

The body is written twice, the second time as a loop of its own: where its blocks branch, a pass that does not come to a
statement leaves zeros for its coefficients. Each pass first asks how many passes from here on can go in one strip:

    body:  few passes left, or strips failed lately ----> one pass as usual
           numbers uneven, or arrays overlap -----------> one pass as usual
           otherwise: the strip's loop, then on with the range behind it
"""

from llvmlite import ir as llvm
from numba.core import cgutils, types

from tapejit.edge.compiler import make_range_iterator
from tapejit.edge.compiler import numba_ir as ir
from tapejit.nopython import statementtape, stripscans
from tapejit.nopython.algebra import Pending, algebra
from tapejit.nopython.real import Real
from tapejit.nopython.stripadding import Adding
from tapejit.nopython.stripchecks import I32, I64, Checks, word
from tapejit.nopython.stripmerging import Merging
from tapejit.nopython.stripowned import Owned
from tapejit.nopython.striprecords import Records
from tapejit.nopython.striprowcode import InRows
from tapejit.nopython.stripsums import Refused, Sums
from tapejit.nopython.types import is_active, is_number


class Count:
    """``per_pass * n + fixed``, for places that are known once n is."""

    def __init__(self, per_pass=0, fixed=0):
        self.per_pass = per_pass
        self.fixed = fixed

    def add(self, per_pass, fixed):
        self.per_pass += per_pass
        self.fixed += fixed

    def value(self, builder, n):
        return builder.add(builder.mul(n, word(self.per_pass)), word(self.fixed))


class Strip(Checks, InRows, Records, Sums, Adding, Merging, Owned):
    """Writes the strip of one loop into the function that ``lower`` is lowering."""

    def __init__(self, lower, loop):
        self.lower = lower
        self.loop = loop
        self.builder = lower.builder
        self.context = lower.context
        self.coef = algebra(self.context, self.builder, types.float64, coefficients=True)
        self.known = {}  # id(LLVM value of a statement's number) -> Operand
        self.kept = []  # those values, so that no id is used twice
        self.outside = {}  # variable -> its value, loaded before the loop
        self.remainders = {}  # Remainder -> its value
        self.starts = {}  # key of an access -> (the address of its first element, the bytes to the next pass's)
        self.streams = {}  # key of an access -> the mark that stands for its statements' numbers
        self.lines = []  # ``Found``, in the order of the checks
        self.begun = None  # the block that ends a row's beginning; of a strip without rows, ``before``
        self.outside_slots = {}  # variable that a row's beginning assigns -> its slot outside of the strip
        self.own_slots = {}  # the same variable -> its slot in the strip
        self.row_steps = {}  # key of an access -> the bytes to the next row's
        self.row_starts = {}  # key of an access -> the address of its first element in this row
        self.fixed = {}  # key of an access that is the same in all passes -> its value
        self.stored = {}  # key of an access -> (value, number) stored by this pass
        self.held = {}  # key of an element that is stored at the pass's end -> (an access to it, its algebra)
        self.own = {}  # block, None for those all passes come to -> (the elements it stores first, passes that came)
        self.merged = {}  # variable of several branches -> (slot of its value, {id of a statement: (slot, statement)})
        self.sums = {}  # id of a running sum's mark -> [mark, its statement, the same once added to]
        self.slots = {}  # variable of a running sum, once assigned in the body -> mark
        self.elements = {}  # key of an element that is a running sum -> (mark, access, its first statement before)
        self.label = None  # the block that is being written
        self.places = {}  # (block, id of a coefficient) -> where its values are
        self.late = []  # (slot of a value that only some passes come to, what to do with it at the end of all)
        self.found = []  # (mark of a running sum, its value as the body has read it)
        self.changes = []  # (mark, new value, the store of it, the block)
        self.totals = []  # (mark, places of what is added to it) of sums that are taken behind the loop
        self.zero_division = None  # slot: whether a pass has divided by zero
        self.groups = []
        self.terms = Count()
        self.statements = Count()
        self.behind = Count()  # room behind the terms that is needed while the strip is recorded
        self.scopes = {}

    # the frame

    def emit(self):
        """Write everything; afterwards the builder stands where the single pass is to be written."""
        builder, lower = self.builder, self.lower
        function = builder.function
        new = function.append_basic_block
        self.head, self.check, self.before, self.body = (new(n) for n in ("head", "check", "before", "strip"))
        finish, failed, waiting, single = (new(n) for n in ("finish", "failed", "waiting", "single"))
        entry = builder.basic_block
        self.at = statementtape.state(builder, self.coef)
        # Zero where the function begins, not at each pass.
        wait, penalty = self.wait, self.penalty = [cgutils.alloca_once(builder, I64) for _ in range(2)]
        range_type = lower.typeof(self.loop.iterator)
        iterator = make_range_iterator(range_type)(
            self.context, builder, value=lower.loadvar(self.loop.iterator)
        )
        self.first = lower.loadvar(min(self.loop.counters))
        left = builder.add(builder.load(iterator.count), word(1))
        self.least = word(stripscans.LEAST if self.loop.rows is None else stripscans.NARROW)
        enough = builder.icmp_signed(">=", left, self.least)
        ready = builder.and_(enough, builder.icmp_signed("==", builder.load(wait), word(0)))
        ready = builder.and_(ready, builder.icmp_signed("==", iterator.step, word(1)))
        # LLVM then sees that no index into a plain array counts from its end, and reads it in vectors.
        ready = builder.and_(ready, builder.icmp_signed(">=", self.first, word(0)))
        mark = len(function.blocks)
        written = self._written(left, failed, finish, single)
        builder.position_at_end(entry)
        if not written:
            builder.branch(single)
            dead = {
                self.head,
                self.check,
                self.before,
                self.body,
                finish,
                failed,
                waiting,
                *function.blocks[mark:],
            }
            function.blocks[:] = [block for block in function.blocks if block not in dead]
            builder.position_at_end(single)
            return
        builder.cbranch(ready, self.head, waiting)
        self._count_down(waiting, wait, single)
        self._put_off(failed, wait, penalty, single)
        builder.position_at_end(self.before)
        after = builder.add(self.position, self.terms.value(builder, self.n))
        after = builder.add(after, self.behind.value(builder, self.n))
        room = builder.icmp_signed("<", after, self.at.capacity)
        builder.cbranch(room, self.body if self.loop.rows is None else self.row_block, failed)
        builder.position_at_end(finish)
        self._go_on_behind(iterator)
        builder.store(word(0), penalty)
        builder.branch(lower.blkmap[self.loop.header])
        builder.position_at_end(single)

    def _go_on_behind(self, iterator):
        """What is to be done behind the strip's loop; the range goes on with the pass behind the last one."""
        builder = self.builder
        self.add_behind()
        self.finish_own()  # before the tape's counters are put on: values wait behind the strip's terms
        self._finish()
        if self.zero_division is not None:
            divided = builder.icmp_unsigned("!=", builder.load(self.zero_division), word(0))
            with cgutils.if_unlikely(builder, divided):
                self.context.error_model.fp_zero_division(builder, ("division by zero",))
        if self.loop.rows is not None:
            self.leave_rows()
        past = builder.sub(self.width, word(1))
        builder.store(builder.sub(builder.load(iterator.count), past), iterator.count)
        builder.store(builder.add(builder.load(iterator.iter), past), iterator.iter)

    def _written(self, left, failed, finish, single):
        """Whether the checks and the body could be written, and record something: copies do not."""
        lower = self.lower
        saved = dict(lower._blk_local_varmap), set(lower._singly_assigned_vars)
        targets = lower.blkmap
        try:
            self._check(left, failed, single)
            self._write_body(finish)
            return bool(self.groups)
        except Refused:
            return False
        finally:
            lower._blk_local_varmap, lower._singly_assigned_vars = saved
            lower.blkmap = targets
            lower.varmap.update(self.outside_slots)
            self.builder.function.tapejit_strip = lower.strip = None

    def _count_down(self, block, wait, single):
        """A pass of its own, one fewer of those before a strip is tried again."""
        builder = self.builder
        builder.position_at_end(block)
        now = builder.load(wait)
        zero = builder.icmp_signed("==", now, word(0))
        builder.store(builder.select(zero, now, builder.sub(now, word(1))), wait)
        builder.branch(single)

    def _put_off(self, block, wait, penalty, single):
        """After a strip that could not be: twice as many passes of their own as after the one before, or those in its way."""
        builder = self.builder
        builder.position_at_end(block)
        now, known = builder.load(penalty), builder.load(wait)
        builder.store(builder.select(builder.icmp_signed(">", known, now), known, now), wait)
        more = builder.add(builder.add(now, now), word(1))
        large = builder.icmp_signed(">", more, word(stripscans.PATIENCE))
        builder.store(builder.select(large, word(stripscans.PATIENCE), more), penalty)
        builder.branch(single)

    # the loop

    def _write_body(self, finish):
        builder = self.builder
        builder.position_at_end(self.before)
        self.fore = (self.head, self.check, self.before, builder.function.entry_basic_block)
        self.position = statementtape.load_counter(builder, self.at.terms)
        self.statement = statementtape.load_counter(builder, self.at.statements)
        self._name_streams()
        start = len(builder.function.blocks)
        self.row, self.begun, self.row_size = word(0), self.before, word(0)
        if self.loop.rows is not None:
            self.begun = builder.append_basic_block("row")
            self.begin_row()
        builder.position_at_end(self.body)
        self.turn = builder.phi(I64)
        self.turn.add_incoming(word(0), self.begun)
        self.place = self.turn  # among all passes of the strip
        if self.loop.rows is not None:
            with builder.goto_block(self.begun):
                passed = builder.mul(self.row, self.width)
            self.place = builder.add(self.turn, passed, flags=("nsw", "nuw"))
        self.counter = builder.add(self.first, self.turn, flags=("nsw",))
        self._hold_elements()
        self._write_blocks()
        self._store_held()
        self.put_off_additions([self.body, *builder.function.blocks[start:]])
        for slot, use in self.late:
            use(builder.load(slot))
        following = builder.add(self.turn, word(1), flags=("nsw", "nuw"))
        self.turn.add_incoming(following, builder.basic_block)
        if self.loop.rows is None:
            builder.cbranch(builder.icmp_signed("<", following, self.n), self.body, finish)
        else:
            behind = builder.append_basic_block("row.end")
            builder.cbranch(builder.icmp_signed("<", following, self.width), self.body, behind)
            builder.position_at_end(behind)
            self.end_rows(finish)
        builder.position_at_end(self.head)
        builder.branch(self.check)
        for block in [self.body, *builder.function.blocks[start:]]:
            self._separate(block)

    def _write_blocks(self):
        """The body's blocks; afterwards the builder stands where all passes end."""
        builder, lower, body = self.builder, self.lower, self.loop.body
        new = builder.function.append_basic_block
        lower.blkmap = {self.loop.header: new("strip.next"), body.first: self.body}
        lower.blkmap |= {label: new("strip.part") for label in list(body.blocks)[1:]}
        lower._singly_assigned_vars |= self.loop.shared
        builder.function.tapejit_strip = lower.strip = self
        ends = {}  # label -> pending values at the end of the block
        for label, block in body.blocks.items():
            known = {}
            for other in ends:
                if other in body.dominators[label]:
                    known |= ends[other]
            self.label = label
            lower.pre_block(block)
            # What a block records or packs of a value is not known to another one: each has copies of its own.
            lower._pending = {name: Pending(value.v, value.terms) for name, value in known.items()}
            builder.position_at_end(lower.blkmap[label])
            for inst in block.body:
                if not isinstance(inst, ir.Del):  # nothing here owns memory
                    lower.loc = inst.loc
                    lower.lower_inst(inst)
            lower.post_block(block)
            ends[label] = {k: v for k, v in lower._pending.items() if k not in self.loop.merged}
        builder.position_at_end(lower.blkmap[self.loop.header])

    def _own_memory(self, inst, array):
        """Note whose memory an instruction uses; the scope is declared here, so that a copy of the loop has its own."""
        inst.tapejit_array = array
        if array in self.scopes:
            return
        builder, module = self.builder, self.builder.module
        name = f"{builder.function.name}.{self.loop.header}"
        domain = module.add_metadata([name])
        self.scopes[array] = module.add_metadata([f"{name}.{array}", domain])
        fnty = llvm.FunctionType(llvm.VoidType(), [llvm.MetaDataType()])
        declare = cgutils.get_or_insert_function(module, fnty, "llvm.experimental.noalias.scope.decl")
        with builder.goto_block(self.before):
            builder.call(declare, [module.add_metadata([self.scopes[array]])])

    def _separate(self, block):
        """Tell LLVM what the checks have found, different arrays do not overlap, and that places never do."""
        module = self.builder.module
        counters = statementtape.counter_scope(module)
        for inst in block.instructions:
            if not isinstance(inst, (llvm.LoadInstr, llvm.StoreInstr)) or "alias.scope" in inst.metadata:
                continue
            own = getattr(inst, "tapejit_array", None)
            if own is not None:
                inst.set_metadata("alias.scope", module.add_metadata([self.scopes[own]]))
            others = [scope for name, scope in self.scopes.items() if name != own]
            inst.set_metadata("noalias", module.add_metadata([*counters.operands, *others]))

    def read(self, access):
        """An element of an active array, as a pending value."""
        builder = self.builder
        ty = self.lower.typeof(access.array).dtype
        alg = algebra(self.context, builder, ty)
        if access.is_one and not access.is_own:
            return self._read_element(access, alg)
        if access.is_held:
            return self.read_merged(access.key, alg)
        if access.stored or access.is_own:
            v, number = self.stored[access.key]
            return Pending(alg.base.unpack(v), [(alg.coef.constant(1.0), number)])
        value = self.fixed.get(access.key)
        if value is None:
            value = self._load_value(access)
        return Pending(alg.base.unpack(value), [(alg.coef.constant(1.0), self.streams[access.key])])

    def _load_value(self, access):
        """This pass's value of an element; before the loop, if it is one for all passes: none reads what another stored."""
        builder = self.builder
        with builder.goto_block(builder.basic_block if access.moves else self.begun):
            pointer = self._element_at(access)
            place = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, 0)], inbounds=True)
            value = builder.load(place, align=8)
        if access.moves:
            self._own_memory(value, access.array)
        else:
            self.fixed[access.key] = value
        return value

    def write(self, access, value_type, value):
        """Store a value and the number of its statement."""
        builder = self.builder
        ty = self.lower.typeof(access.array).dtype
        alg = algebra(self.context, builder, ty)
        if is_active(value_type):
            source = algebra(self.context, builder, value_type)
            value = source.unpack(value)
            terms = value.terms
            v = alg.base.lift(value_type.scalar, source.base.pack(value.v))
        else:
            assert is_number(value_type)
            terms, v = [], alg.base.lift(types.unliteral(value_type), value)
        if access.is_held:
            self.held[access.key] = access, alg
            self.write_merged(access.key, Pending(alg.base.unpack(v), terms), alg)
            return
        if access.is_own:
            self.write_own(access, v, terms)
            return
        if access.is_one:
            mark = self._add_to(id(self._element(access)[0]), terms)
            store = builder.store(v, self._field(access, 0), align=8)
            self._own_memory(store, access.array)
            self.note_change(mark, v, store)
            return
        number = self._number_of(terms)
        self.stored[access.key] = v, number
        self._store_element(access, v, number)

    def _store_element(self, access, v, number):
        builder = self.builder
        pointer = self._element_at(access)
        for k, item in enumerate((v, number)):
            place = builder.gep(pointer, [llvm.Constant(I32, 0), llvm.Constant(I32, k)], inbounds=True)
            self._own_memory(builder.store(item, place, align=8), access.array)

    def _hold_elements(self):
        """Begin with what stands in the array, where a pass may not store an element first."""
        for access in self.loop.accesses.values():
            if access.is_before:
                alg = algebra(self.context, self.builder, self.lower.typeof(access.array).dtype)
                self.write_merged(access.key, self.read(access), alg)

    def _store_held(self):
        """Store the elements that are held, at a pass's end."""
        self.label = self.loop.body.first
        for key, (access, alg) in self.held.items():
            value = self.read_merged(key, alg)
            self._store_element(access, alg.base.pack(value.v), self._number_of(value.terms))

    def _number_of(self, terms):
        terms = self._operands(terms)
        if not terms:
            return word(0)
        operand, coefficient = terms[0]
        if len(terms) == 1 and Real._is(self.coef, coefficient, 1.0):
            number = operand.number(self.builder, self.turn, self.row)
            self._remember(number, operand)
            return number
        return self._record(terms)

    def settle(self, name, value):
        """Record a variable where that leaves fewer coefficients than its terms in everything that depends on it."""
        terms, records = len(value.terms), len(self.loop.sinks.get(name, ()))
        if terms * records > terms + 1 and not any(id(index) in self.sums for _, index in value.terms):
            algebra(self.context, self.builder, self.lower.typeof(name)).record(value)

    def _operands(self, terms):
        found = []
        for coefficient, index in terms:
            if isinstance(index, llvm.Constant) and id(index) not in self.known:
                continue  # statement 0: a constant
            operand = self.known.get(id(index))
            if operand is None:
                raise Refused
            found.append((operand, coefficient))
        return found

    def push(self, terms):
        """``tape.push`` inside a strip: one statement of every pass; the number of this pass's."""
        terms = self._operands(terms)
        return self._record(terms) if terms else word(0)

    def _put(self, coefficient, place):
        """Store this pass's coefficient of a term."""
        target = self.builder.gep(self.at.coefficients, [self.builder.add(place, self.place)], inbounds=True)
        self._own_memory(self.builder.store(coefficient, target, align=8), f"place {id(place)}")

    def _late(self, otherwise, use):
        """A slot for a value of each pass that is used at the pass's end: ``otherwise`` in those that do not come to it."""
        slot = cgutils.alloca_once(self.builder, otherwise.type)
        with self.builder.goto_block(self.body):
            self.builder.store(otherwise, slot)
        self.late.append((slot, use))
        return slot

    def puts_off_division_by_zero(self, zero):
        """Note a divisor that is zero: the exception is raised behind the strip, whose passes then need no way out.

        Not where somebody may catch it and see what later passes have done.
        """
        builder = self.builder
        if not self.context.error_model.raise_on_fp_zero_division:
            return True
        if self.lower.catches():
            return False
        if self.zero_division is None:
            self.zero_division = cgutils.alloca_once(builder, I64)
            with builder.goto_block(self.before):
                builder.store(word(0), self.zero_division)
        total = self.zero_division
        slot = self._late(
            word(0), lambda value: builder.store(builder.or_(builder.load(total), value), total)
        )
        builder.store(builder.zext(zero, I64), slot)
        return True
