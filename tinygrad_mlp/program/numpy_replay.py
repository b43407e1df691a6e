"""Running a program with NumPy: the ops' own forward functions, into memory set aside once.

The line of calls is written as Python source and compiled, so that a run costs nothing but the calls: no loop over
steps, no dispatch. Values whose memory stays are bound when the program is; what depends on the arguments is local.
Every call is the one that the eager run made, on operands of the same layout, so results are equal bit by bit.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.calls import Calls
from ..profiler import Profile, active
from ..tape import Array
from .ir import Operand, Program, SavedRef, Step, Value
from .replay_memory import Memory
from .side_by_side import STRIP, Row, strips

__all__ = ["Replay"]

# A place in the line of a call, and what is taken of the array there: views of it, at last perhaps a method.
_TAKEN = re.compile(r"\.\w+(?:\((?:'K')?\))?|\[[^\]{}]*\]")
_PLACE = re.compile(rf"\{{(\w+)\}}((?:{_TAKEN.pattern})*)")


class Replay:
    """A program bound to memory of its own and to the user's buffers. One run at a time.

    Attributes:
        arena: bytes set aside for values that live during a run only. code: the Python source that runs.
        steps: the program's, in the order in which they run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._memory = Memory(program)
        self.arena = self._memory.bytes
        writer = _Writer(program, self._memory)
        self.code, self._space = writer.write(timed=False)
        self._run = _compiled(self.code, self._space)
        self.steps = self._memory.steps
        self._timed: Callable[..., list[Array]] | None = None
        self._writing = {self._run.__code__: writer.writing}

    def run(self, inputs: Sequence[Array], fed: Sequence[Array] = ()) -> list[Array]:
        """One run: writes the buffers, gives the outputs, which share memory with nothing.

        Raises:
            Whatever the checks raise, before anything is written.
        """
        profile = active()
        return self._run(inputs, fed) if profile is None else self._run_profiled(profile, inputs, fed)

    def _run_profiled(self, profile: Profile, inputs: Sequence[Array], fed: Sequence[Array]) -> list[Array]:
        results, times = self.run_timed(inputs, fed)
        for step, (start, end) in zip(self.steps, times, strict=True):
            begun = int(start * 1e9)
            shapes = tuple([one.shape for one in step.operands if isinstance(one, Value)])
            size = 0 if step.result.alias is not None else step.result.nbytes
            profile.record(
                step.op.name,
                step.phase,
                step.module,
                begun,
                max(int(end * 1e9) - begun, 0),
                shapes=shapes,
                bytes=size,
                line=step.line if profile.lines else None,
            )
        return results

    def run_timed(
        self, inputs: Sequence[Array], fed: Sequence[Array] = ()
    ) -> tuple[list[Array], list[tuple[float, float]]]:
        """The same, and for each step of the program when it began and ended, in seconds of ``time.perf_counter``."""
        if self._timed is None:
            writer = _Writer(self.program, self._memory)
            self._timed = _compiled(*writer.write(timed=True))
            self._writing[self._timed.__code__] = writer.writing
        times: list[float] = []
        results = self._timed(inputs, fed, times.append, time.perf_counter)
        return results, list(itertools.pairwise(times))

    def torn(self, error: BaseException) -> str:
        """What a run that ended in ``error`` has written and what not, in words; empty if nothing was written.

        Nothing of the run itself raises once writing has begun, but the handler of a signal may, at any line.
        """
        at = error.__traceback__
        while at is not None and at.tb_frame.f_code not in self._writing:
            at = at.tb_next
        if at is None:
            return ""
        line, writing = at.tb_lineno, self._writing[at.tb_frame.f_code]
        parts = {
            "written": [buffer for lines, buffer in writing if lines.stop <= line],
            "perhaps written": [buffer for lines, buffer in writing if line in lines],
            "not written": [buffer for lines, buffer in writing if lines.start > line],
        }
        if not parts["written"] and not parts["perhaps written"]:
            return ""
        return "; ".join(
            f"{what}: {', '.join(one.name or 'an array' for one in some)}" for what, some in parts.items() if some
        )


def _compiled(code: str, space: dict[str, Any]) -> Callable[..., list[Array]]:
    exec(compile(code, "<replay>", "exec"), space)  # noqa: S102 - written just above, out of op calls alone
    run: Callable[..., list[Array]] = space["run"]
    return run


class _Writer:
    """Writes a program as a Python function of its inputs and fed values."""

    def __init__(self, program: Program, memory: Memory) -> None:
        self.program = program
        self.memory = memory
        self.fixed = memory.fixed
        self.direct = memory.direct
        self.space: dict[str, Any] = {"asarray": np.asarray, "copyto": np.copyto, "errstate": np.errstate}
        self.names: dict[Any, str] = {}
        self.writing: list[tuple[range, Value]] = []
        """The lines that write into the user's memory, and the buffer that each of them writes."""

    def bind(self, prefix: str, thing: Any, key: Any = None) -> str:
        """A name in the function's globals for ``thing``, one for each ``key``."""
        key = id(thing) if key is None else key
        if key not in self.names:
            self.names[key] = name = f"{prefix}{len(self.names)}"
            self.space[name] = thing
        return self.names[key]

    def name(self, value: Value) -> str:
        """What the function calls a value."""
        if value in self.fixed:
            return self.bind("a", self.fixed[value], ("fixed", id(self.fixed[value])))
        return self.names.setdefault(value, f"v{len(self.names)}")

    def text(self, one: Operand) -> str:
        """An operand as it is written."""
        if isinstance(one, Value):
            return self.name(one)
        return self.bind("n", one, (type(one), repr(one)))

    def write(self, *, timed: bool) -> tuple[str, dict[str, Any]]:
        """The source, and the globals that it needs."""
        program = self.program
        lines = [f"def run(inputs, fed{', tick, clock' if timed else ''}):"]
        for argument, values in (("inputs", program.inputs), ("fed", program.fed)):
            if values:
                lines.append(f"    {', '.join(map(self.name, values))}, = {argument}")
        asked: dict[Value, list[str]] = {}
        for check in program.checks:
            line = f"{self.bind('q', check.ask)}({self.name(check.value)})"
            if check.value.root.kind == "step":
                asked.setdefault(check.value, []).append(line)
            else:
                lines += self._views_to(check.value)
                lines.append("    " + line)
        if timed:
            lines.append("    tick(clock())")
        lines += self._steps(asked, len(lines), timed=timed)
        # Results that are what a buffer was before the run are taken before it is written.
        written = {buffer for buffer, _ in program.writes}
        given = [self._given(place) for place in range(len(program.outputs))]
        for place, value in enumerate(program.outputs):
            if value.root in written:
                lines.append(f"    o{place} = {given[place]}")
                given[place] = f"o{place}"
        lines += self._writes(len(lines))
        lines.append(f"    return [{', '.join(given)}]")
        return "\n".join(lines) + "\n", self.space

    def _steps(self, asked: Mapping[Value, Sequence[str]], above: int, *, timed: bool) -> list[str]:
        lines: list[str] = []
        wrote: dict[Value, range] = {}
        quiet = False
        together = {} if timed else self._together()
        passed: set[Step] = set()
        for step in self.memory.steps:
            if step in passed:
                continue
            if (step.phase == "backward") != quiet:
                quiet = not quiet
                if quiet:
                    lines.append("    with errstate(divide='ignore', invalid='ignore', over='ignore'):")
            indent = "        " if quiet else "    "
            if step in together:
                steps, some = together[step]
                passed.update(steps)
                self._note_writes(steps, range(above + len(lines) + 1, above + len(lines) + len(some) + 1), wrote)
                lines += [indent + one for one in some]
                continue
            call = self._call(step)
            before = above + len(lines)
            lines += [indent + one for one in call.splitlines()]
            self._note_writes([step], range(before + 1, above + len(lines) + 1), wrote)
            lines += [indent + one for one in asked.get(step.result, ())]
            if timed:
                lines.append(indent + "tick(clock())")
            elif quiet and not call:
                lines.append(indent + "pass")
        self.writing += [(where, buffer) for buffer, where in wrote.items()]
        return lines

    def _note_writes(self, steps: Sequence[Step], lines: range, wrote: dict[Value, range]) -> None:
        for step in steps:
            buffer = self.memory.targets.get(step.result)
            if buffer is not None and buffer in self.direct:
                wrote[buffer] = range(wrote.get(buffer, lines).start, lines.stop)

    def _together(self) -> dict[Step, tuple[Sequence[Step], list[str]]]:
        """For the first of several updates that are made together: the steps, and the lines for all of them."""
        found: dict[Step, tuple[Sequence[Step], list[str]]] = {}
        for row in self.memory.rows:
            line = self._row(row)
            if line is not None:
                found[row.steps[0]] = row.steps, [line]
        for steps in strips(self.memory.steps, self.fixed):
            found[steps[0]] = steps, self._strips(steps)
        return found

    def _views_to(self, value: Value) -> list[str]:
        """The calls that make ``value``, a view of an input, before the first step runs."""
        found: list[str] = []
        while value.kind == "step" and value not in self.fixed:
            assert value.step is not None
            assert value.alias is not None
            found.append("    " + self._call(value.step))
            value = value.alias
        return found[::-1]

    def _call(self, step: Step) -> str:
        result, op = step.result, step.op
        if result.alias is not None and result in self.fixed:
            return ""
        calls = self.memory.calls.get(step)
        if calls is not None:
            return self._written_out(step, calls)
        function = self.bind("f", op.forward)
        arguments = [self._operand(step, one) for one in step.operands]
        arguments += [f"{name}={self._param(param)}" for name, param in step.params.items()]
        into = result in self.fixed
        if into:
            out = self.name(result)
            arguments.append(out if isinstance(op.forward, np.ufunc) else f"out={out}")
        call = f"{function}({', '.join(arguments)})"
        saved = self._saved(step) if step.saved else "_"
        if op.saves:
            call = f"{'_' if into else self.name(result)}, {saved} = {call}"
            return call if result.shape or into else f"{call}; {self.name(result)} = asarray({self.name(result)})"
        if into:
            return call
        return f"{self.name(result)} = {call if result.shape else f'asarray({call})'}"

    def _row(self, row: Row) -> str | None:
        """One call for all steps of a row, where their arrays allow it."""
        found = self.memory.one_call(row)
        if found is None:
            return None
        step = row.steps[0]
        arrays, out = found
        arguments = [
            self.bind("r", arrays[place]) if place in arrays else self._operand(step, one)
            for place, one in enumerate(step.operands)
        ]
        return f"{self.bind('f', step.op.forward)}({', '.join(arguments)}, {self.bind('r', out)})"

    def _strips(self, steps: Sequence[Step]) -> list[str]:
        """Steps that go over the same large arrays, part by part, so that a part is in the cache for all of them."""
        names: dict[int, str] = {}
        whole: list[Array] = []
        lines = []
        for step in steps:
            arguments = []
            for one in [*step.operands, step.result]:
                if isinstance(one, Value) and one.shape == step.result.shape:
                    array = self.fixed[one]
                    if id(array) not in names:
                        names[id(array)] = f"c{len(names)}"
                        whole.append(array.ravel("K"))
                    arguments.append(names[id(array)])
                else:
                    arguments.append(self._operand(step, one))
            lines.append(f"    {self.bind('f', step.op.forward)}({', '.join(arguments)})")
        parts = [tuple([one[i : i + STRIP] for one in whole]) for i in range(0, whole[0].size, STRIP)]
        return [f"for {', '.join(names.values())}, in {self.bind('parts', parts)}:", *lines]

    def _operand(self, step: Step, one: Operand) -> str:
        """An operand as it is written; a number of a ufunc as an array without axes, which NumPy takes faster."""
        dtype = step.result.dtype
        arrays = [other for other in step.operands if isinstance(other, Value)]
        if (
            isinstance(one, Value)
            or not isinstance(step.op.forward, np.ufunc)
            or dtype not in (np.float32, np.float64)
            or not arrays
            or any(other.dtype != dtype for other in arrays)
            or abs(one) > np.finfo(dtype).max
        ):
            return self.text(one)
        return self.bind("n", np.array(one, dtype), (dtype, repr(float(one))))

    def _written_out(self, step: Step, calls: Calls) -> str:
        """The NumPy calls of a step, one a line."""
        memory = self.memory
        arrays: dict[str, Any] = {str(place): one for place, one in enumerate(step.operands)}
        arrays["y"] = step.result
        arrays |= {f"t{place}": one for place, one in enumerate(memory.scratch(calls.scratch))}
        saved = [one.step for one in step.params.values() if isinstance(one, SavedRef)]
        kept = memory.kept[step] if calls.keeps else [array for one in saved for array in memory.kept[one]]
        arrays |= {f"k{place}": one for place, one in enumerate(kept)}
        self.space.update(calls.names)

        def written(found: re.Match[str]) -> str:
            given = arrays[found[1]]
            array = self.fixed.get(given) if isinstance(given, Value) else given
            if array is None:
                return f"{self.name(given)}{found[2]}"
            return self._part(array, found[2])

        return "\n".join([_PLACE.sub(written, line) for line in calls.lines])

    def _part(self, array: Array, path: str) -> str:
        """A view of memory that stays, or a method of one, taken once."""
        part: Any = array
        taken = 0
        for found in _TAKEN.finditer(path):
            before = part
            part = eval(f"_{found[0]}", {"_": part})  # noqa: S307 - out of op calls alone
            if isinstance(part, np.ndarray):
                if not np.shares_memory(part, array):  # a copy, which has to be made anew each time
                    part = before
                    break
            elif not callable(part):
                part = before
                break
            taken = found.end()
        key = ("part", id(array), path[:taken]) if taken else ("fixed", id(array))
        return self.bind("b" if taken else "a", part, key) + path[taken:]

    def _param(self, param: Any) -> str:
        if isinstance(param, SavedRef):
            return self._saved(param.step)
        return self.bind("p", param)

    def _saved(self, step: Step) -> str:
        kept = self.memory.kept.get(step)
        if kept is None:
            return f"s{self.bind('k', step)}"
        return self.bind("k", tuple(kept), ("kept", id(step)))

    def _writes(self, line: int) -> list[str]:
        waiting = [(buffer, value) for buffer, value in self.program.writes if buffer not in self.direct]
        targets = {buffer for buffer, _ in waiting}
        lines: list[str] = []
        copies: list[str] = []
        for buffer, value in waiting:
            source = self.name(value)
            if value.root in targets:  # another buffer's old value, which must be read before it is written
                copy = f"w{len(copies)}"
                lines.append(f"    {copy} = {source}.copy()")
                source = copy
            copies.append(f"    copyto({self.name(buffer)}, {source})")
        first = line + len(lines) + 1
        self.writing += [(range(first + k, first + k + 1), buffer) for k, (buffer, _) in enumerate(waiting)]
        return lines + copies

    def _given(self, place: int) -> str:
        value = self.program.outputs[place]
        name = self.name(value)
        others = [one.root for one in [*self.program.outputs[:place], *[new for _, new in self.program.writes]]]
        fresh = value.kind == "step" and value.alias is None and value not in self.fixed and value.root not in others
        return name if fresh and not self._keeps(value) else f"{name}.copy('K')"

    def _keeps(self, value: Value) -> bool:
        """Whether a call may have handed out memory that something else keeps."""
        step = value.step
        return step is None or step.op.saves or step.op.passes_on
