"""Writes the pages of this folder from declarations, signatures and docstrings: python docs/reference/write.py.

Gradient formulas are the rules of the declarations, applied to symbols by the same code that `explain` uses. Examples
are run, and what they print is what stands here.
"""

from __future__ import annotations

import builtins
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, compositions, linalg, ops, record_values
from tinygrad_mlp.cli import op_table
from tinygrad_mlp.cli.op_reasons import WHY
from tinygrad_mlp.graph import graph_of
from tinygrad_mlp.nn import functional
from tinygrad_mlp.samples import Elementwise
from tinygrad_mlp.tape import Op
from tinygrad_mlp.testing.cases import fixed_cases

HERE = Path(__file__).parent
TITLES = {
    "elementwise": "Elementwise functions",
    "reductions": "Reductions, running reductions and orders",
    "shapes": "Shapes",
    "indexing": "Picking and putting",
    "matrices": "Products of vectors and matrices",
    "linalg": "Linear algebra, `tinygrad_mlp.linalg`",
    "functional": "Layers and losses as functions, `tinygrad_mlp.nn.functional`",
    "making": "Making tensors, and random numbers",
    "integers": "Bits, divisors and sets",
    "facts": "What tensors say of themselves",
    "methods": "Copies, detached tensors, one value everywhere",
    "older": "Linear algebra by the older names at top level",
}
# Where functions stand that are written beside the operations.
ROOMS = {"shape": "shapes", "reductions": "reductions", "linalg": "matrices"}
ROOMS |= dict.fromkeys(["arithmetic", "activations", "elementwise", "functions", "compare"], "elementwise")
WORLD = {
    "x": "Tensor([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]], requires_grad=True)",
    "y": "Tensor([[2.0, 0.5, 1.0], [-1.0, 3.0, 0.5]], requires_grad=True)",
    "p": "Tensor([0.2, 0.5, 0.9], requires_grad=True)",
    "v": "Tensor([1.0, 2.0, 4.0], requires_grad=True)",
    "a": "Tensor([[4.0, 1.0], [1.0, 3.0]], requires_grad=True)",
    "n": "tg.tensor([12, 7, 30])",
    "m": "tg.tensor([True, False, True])",
}
"""What the examples begin with."""

# Arguments of examples where those that are tried in turn do not fit, or say little.
EXAMPLES = {
    "broadcast_to": "(v, (2, 3))",
    "nonzero_static": "(v, size=3)",
    "lu_solve": "(*tg.linalg.lu_factor(a), v[:2, None])",
    "fractional_max_pool3d": "(x[None, None], 1, output_size=(1, 1, 2), _random_samples=Tensor([[[0.3, 0.6, 0.5]]]))",
    "rms_norm": "(x, (3,))",
    "from_numpy": "(np.array([1.0, 2.0]))",
    "is_grad_enabled": "()",
    "view": "(x, (3, 2))",
    "tg.lu_solve": "(v[:2, None], *tg.linalg.lu_factor(a))",
    "safe_where": "(x > 0, x, tg.log, tg.neg)",
    "expand": "(v, (2, 3))",
    "addbmm": "(a, a[None], a[None])",
    "addcdiv": "(x, x, y)",
    "addcmul": "(x, x, y)",
    "addmm": "(a, a, a)",
    "addmv": "(v[:2], a, v[:2])",
    "addr": "(a, v[:2], v[:2])",
    "affine_grid": "(Tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 2, 2))",
    "allclose": "(x, x + 1e-9)",
    "alpha_dropout": "(x, 0.5, True, seed=0)",
    "arange": "(0, 1, 0.25)",
    "baddbmm": "(a[None], a[None], a[None])",
    "batch_norm": "(y, None, None, training=True)",
    "bernoulli": "(p, generator=tg.Generator().manual_seed(0))",
    "bilinear": "(v, v, Tensor(np.ones((1, 3, 3))))",
    "binary_cross_entropy": "(p, [0.0, 1.0, 1.0])",
    "binary_cross_entropy_with_logits": "(v, [0.0, 1.0, 1.0])",
    "binomial": "(Tensor([10.0, 20.0]), Tensor([0.5, 0.1]), generator=tg.Generator().manual_seed(0))",
    "bincount": "(tg.tensor([0, 2, 2]))",
    "bucketize": "(v, Tensor([1.5, 3.0]))",
    "channel_shuffle": "(Tensor(np.arange(4.0).reshape(1, 4, 1)), 2)",
    "check_probability": "(0.5)",
    "cholesky_inverse": "(tg.cholesky(a))",
    "cholesky_solve": "(v[:2, None], tg.cholesky(a))",
    "clip": "(x, -1.0, 1.0)",
    "conv1d": "(v[None, None], Tensor([[[1.0, -1.0]]]))",
    "conv2d": "(x[None, None], Tensor([[[[1.0, -1.0]]]]))",
    "conv3d": "(x[None, None, None], Tensor([[[[[1.0, -1.0]]]]]))",
    "conv_transpose1d": "(v[None, None], Tensor([[[1.0, -1.0]]]))",
    "conv_transpose2d": "(x[None, None], Tensor([[[[1.0, -1.0]]]]))",
    "conv_transpose3d": "(x[None, None, None], Tensor([[[[[1.0, -1.0]]]]]))",
    "cosine_embedding_loss": "(x, y, Tensor([1.0, -1.0]))",
    "cross_entropy": "(x, [2, 0])",
    "ctc_loss": "(tg.nn.functional.log_softmax(Tensor(np.eye(3)), -1), [1], [3], [1])",
    "diagonal_scatter": "(a, v[:2])",
    "dropout": "(x, 0.5, seed=0)",
    "dropout1d": "(x, 0.5, seed=0)",
    "dropout2d": "(x[None], 0.5, seed=1)",
    "dropout3d": "(x[None, None], 0.5, seed=1)",
    "einsum": '("ij,kj->ik", x, y)',
    "embedding": "([0, 1, 0], a)",
    "embedding_bag": "([[0, 1], [1, 1]], a)",
    "feature_alpha_dropout": "(x, 0.5, True, seed=0)",
    "fold": "(Tensor(np.ones((4, 2))), (2, 3), 2)",
    "fractional_max_pool2d": "(x[None], 1, output_size=(1, 2), _random_samples=Tensor([[[0.3, 0.6]]]))",
    "from_dlpack": "(np.array([1.0, 2.0]))",
    "full": "((2,), 7.0)",
    "gather": "(x, 1, [[0, 2], [1, 1]])",
    "gaussian_nll_loss": "(v, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0])",
    "Generator": "().manual_seed(0).initial_seed()",
    "grid_sample": "(x[None, None], Tensor([[[[0.0, 0.0], [0.5, 0.5]]]]))",
    "group_norm": "(x[:, :2], 1)",
    "gumbel_softmax": "(x, seed=0)",
    "hinge_embedding_loss": "(v, [1.0, -1.0, 1.0])",
    "histc": "(x, 3)",
    "histogram": "(x, 3)",
    "householder_product": "(a, v[:2])",
    "index_add": "(x, 1, [0, 0], a)",
    "index_copy": "(x, 1, [2, 0], a)",
    "index_fill": "(x, 1, [0, 2], 9.0)",
    "index_put": "(v, ([0, 2],), [7.0, 8.0])",
    "index_reduce": '(x, 1, [0, 0], a, "prod")',
    "index_select": "(x, 1, [2, 0])",
    "instance_norm": "(x[None])",
    "interpolate": '(v[None, None], size=5, mode="linear")',
    "isin": "(n, [7, 30])",
    "kaiser_window": "(4)",
    "kl_div": "(tg.log(p), [0.1, 0.4, 0.5])",
    "kthvalue": "(x, 2)",
    "layer_norm": "(x, (3,))",
    "lerp": "(x, y, 0.25)",
    "linear": "(x, Tensor([[1.0, 0.0, 2.0]]))",
    "linear_cross_entropy": "(a, Tensor([[1.0, 0.0], [0.0, 1.0]]), [0, 1])",
    "linspace": "(0, 1, 5)",
    "local_response_norm": "(x[None], 2)",
    "logspace": "(0, 2, 3)",
    "manual_seed": "(0)",
    "margin_ranking_loss": "(v, p, [1.0, -1.0, 1.0])",
    "masked_fill": "(v, m, 0.0)",
    "masked_scatter": "(v, m, [8.0, 9.0])",
    "masked_select": "(v, m)",
    "max_unpool1d": "(Tensor([[3.0, 5.0]]), tg.tensor([[1, 2]]), 2)",
    "max_unpool2d": "(Tensor([[[3.0]]]), tg.tensor([[[2]]]), 2)",
    "max_unpool3d": "(Tensor([[[[3.0]]]]), tg.tensor([[[[2]]]]), 2)",
    "meshgrid": '(v[:2], v[:2], indexing="ij")',
    "moveaxis": "(x, 0, 1)",
    "movedim": "(x, 0, 1)",
    "multi_margin_loss": "(x, tg.tensor([0, 2]))",
    "multilabel_margin_loss": "(x, tg.tensor([[0, -1, 0], [2, 1, -1]]))",
    "multilabel_soft_margin_loss": "(x, [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])",
    "multinomial": "(p, 2, generator=tg.Generator().manual_seed(0))",
    "mvlgamma": "(v + 1.0, 2)",
    "narrow": "(x, 1, 1, 2)",
    "new_full": "(x, (2,), 7.0)",
    "nll_loss": "(tg.log_softmax(x, 1), [2, 0])",
    "normal": "(0.0, 1.0, (2,), generator=tg.Generator().manual_seed(0))",
    "one_hot": "([0, 2, 1])",
    "ormqr": "(a, v[:2], a)",
    "overwrite": "(Tensor([1.0]), np.array([2.0]))",
    "pad": "(v, (1, 2))",
    "padding_row": "(-1, 5)",
    "permute": "(x, 1, 0)",
    "pixel_shuffle": "(Tensor(np.arange(4.0).reshape(4, 1, 1)), 2)",
    "pixel_unshuffle": "(Tensor(np.arange(4.0).reshape(1, 2, 2)), 2)",
    "poisson": "(v, generator=tg.Generator().manual_seed(0))",
    "polygamma": "(1, v)",
    "prelu": "(x, Tensor([0.25]))",
    "put": "(v, [0, 2], [7.0, 8.0])",
    "quantile": "(x, 0.5)",
    "nanquantile": "(x, 0.5)",
    "rand": "(2, seed=0)",
    "rand_like": "(v, seed=0)",
    "randint": "(0, 10, (3,), generator=tg.Generator().manual_seed(0))",
    "randint_like": "(v, 0, 10, generator=tg.Generator().manual_seed(0))",
    "randn": "(2, seed=0)",
    "randn_like": "(v, seed=0)",
    "randperm": "(4, generator=tg.Generator().manual_seed(0))",
    "renorm": "(x, 2.0, 0, 1.0)",
    "repeat_interleave": "(v, 2)",
    "reshape": "(x, (3, 2))",
    "roll": "(v, 1)",
    "rrelu": "(x)",
    "scaled_dot_product_attention": "(x, y, y)",
    "scatter": "(x, 1, [[2, 0], [1, 2]], a)",
    "scatter_add": "(x, 1, [[0, 0], [1, 2]], a)",
    "scatter_reduce": '(x, 1, [[0, 0], [1, 2]], a, "prod")',
    "searchsorted": "(v, [0.5, 3.0])",
    "select": "(x, 1, -1)",
    "select_scatter": "(x, v[:2], 1, 0)",
    "slice_scatter": "(x, a, 1, 0, 2)",
    "soft_margin_loss": "(v, [1.0, -1.0, 1.0])",
    "split": "(v, [1, 2])",
    "sum_to_size": "(x, 1, 3)",
    "take": "(x, [0, 4])",
    "take_along_dim": "(x, [[0, 2], [1, 1]], 1)",
    "tensorinv": "(tg.reshape(tg.eye(4), (2, 2, 4)), 2)",
    "tensorsolve": "(tg.reshape(tg.eye(4), (4, 2, 2)), [1.0, 2.0, 3.0, 4.0])",
    "threshold": "(x, 0.5, 0.0)",
    "tile": "(v, (2,))",
    "to": "(x, np.float64)",
    "trapezoid": "(v, dx=0.5)",
    "tril_indices": "(2, 2)",
    "triu_indices": "(2, 2)",
    "triplet_margin_loss": "(x, y, x + 0.5)",
    "triplet_margin_with_distance_loss": "(x, y, x + 0.5)",
    "type_as": "(n, x)",
    "unflatten": "(v, 0, (3, 1))",
    "unfold": "(x[None], 2)",
    "Tensor.unfold": "(v, 0, 2, 1)",
    "unravel_index": "(n, (10, 10))",
    "unsqueeze": "(v, 0)",
    "upsample": "(v[None, None], scale_factor=2)",
    "upsample_nearest": "(v[None, None], scale_factor=2)",
    "upsample_bilinear": "(x[None, None], scale_factor=2)",
    "vander": "(v)",
    "where": "(m, v, 0.0)",
}
# Their result is another one in every run.
NOT_RUN = {"record_values", "seed", "initial_seed", "get_rng_state", "set_rng_state"}
TRIED = [
    "(x)", "(v)", "(a)", "(x, y)", "(n, 4)", "(x, 1)", "(v, 1)", "(v, p)", "(a, a)", "(n)", "(m)", "(m, m)", "(2)",
    "(a, v[:2])", "(x, 2)", "(x, 0.5)", "(v[None], 2)", "(x[None], 2)", "(x[None, None], 1)", "(x, 2.0, 1)",
    "(v[None], 2.0, 2)", "(x[None], 2.0, 2)", "(x[None, None], 2.0, 1)", "(v, [1.0, 1.0, 1.0])", "(a, a, upper=True)",
    "(a[None], a[None])", "(a, a, a)", "(a, v[:2, None], v[:2, None])", "([v, v])", "(v, v)", "(x, 0, 1)",
    "(x, (0, 1))", "(a, 2)", "(2, 3)", "(v, 0)", "([a, a])",
]  # fmt: skip


# --- examples -------------------------------------------------------------------------------------


def world() -> dict[str, Any]:
    """The names that examples use."""
    known: dict[str, Any] = {"tg": tg, "np": np, "Tensor": Tensor}
    for name, text in WORLD.items():
        known[name] = eval(text, known)  # noqa: S307 - this script's own text
    return known


def _run(text: str) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return eval(text, world())  # noqa: S307 - this script's own text


def example(prefix: str, name: str) -> tuple[str, Any]:
    """A call that works, and what it gives.

    Raises:
        LookupError: none of the calls that are tried works.
    """
    chosen = EXAMPLES.get(prefix + name, EXAMPLES.get(name))
    given = TRIED if chosen is None else [chosen]
    for arguments in given:
        text = f"{prefix}{name}{arguments}"
        try:
            return text, _run(text)
        except Exception as error:  # noqa: BLE001 - whatever a call that does not fit raises
            last = error
    raise LookupError(f"{prefix}{name}: no example works, {last!r}; give one in EXAMPLES")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)


def made_of(result: Any) -> list[str]:
    """The operations that a result was computed with."""
    found: dict[str, None] = {}
    for one in _tensors(result):
        if one.node is not None and one.requires_grad:
            found.update(dict.fromkeys(node.op for node in graph_of(one).nodes if node.kind == "op"))
    return sorted(found)


def shown(result: Any) -> str:
    """What a session prints, long results cut."""
    lines = repr(result).splitlines()
    return "\n".join(lines if len(lines) <= 8 else [*lines[:7], "..."])


# --- texts ----------------------------------------------------------------------------------------

_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def prose(text: str) -> str:
    """A docstring as Markdown; its examples are left to the page."""
    text = _ROLE.sub(r"`\1`", text).replace("``", "`")
    lines = []
    for line in text.split("\n>>> ", 1)[0].rstrip().splitlines():
        section = re.fullmatch(r"(Args|Raises|Returns):", line)
        name = re.match(r"    (?! )((?:\*{0,2}\w+, )*\*{0,2}\w+): ", line)
        if section:
            lines += [{"Args": "Arguments:", "Raises": "Errors:", "Returns": "Result:"}[section[1]], ""]
        elif name:
            lines.append(f"- `{name[1]}`: {line[name.end() :]}")
        else:
            lines.append(line.strip())
    # Between backticks everything is shown as it is.
    pieces = "\n".join(lines).split("`")
    return "`".join(one if i % 2 else re.sub(r"([<*_])(?=\w)", r"\\\1", one) for i, one in enumerate(pieces))


def signature(function: Callable[..., Any]) -> str:
    """The names and defaults of the arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return "(...)"
    kept = [one.replace(annotation=inspect.Parameter.empty) for one in parameters if one.name != "_random_samples"]
    return re.sub(r" -> .*", "", str(inspect.Signature(kept)))


def entry(prefix: str, name: str, function: Any) -> str:
    """One function of a page."""
    text = f"### {name}\n\n"
    if isinstance(function, property):
        return text + f"`Tensor.{name}`: {prose(inspect.getdoc(function) or '')}\n\n"
    text += f"```python\n{prefix}{name}{signature(function)}\n```\n\n{prose(inspect.getdoc(function) or '')}\n\n"
    if name in NOT_RUN:
        return text
    call, result = example(prefix, name)
    parts = made_of(result)
    used = ", ".join(f"`{one}`" for one in parts)
    text += f"Made of: {used}.\n\n" if used else ""
    return text + f"```python\n>>> {call}\n{shown(result)}\n```\n\n"


# --- primitives -----------------------------------------------------------------------------------


def _case(op: Op) -> Any:
    """The smallest of the declared calls that has elements."""
    full = [one for one in fixed_cases(op) if all(np.size(operand) for operand in one.operands)]
    return min(full, key=lambda one: builtins.sum(np.size(operand) for operand in one.operands))


def gradients(op: Op) -> list[tuple[str, str]]:
    """For each operand with a rule its name, and the rule applied to symbols, ``g`` being the incoming gradient."""
    case = _case(op)
    names = list(op.operands) or [f"x_{i + 1}" for i in range(len(case.operands))]
    leaves = [Tensor(one, requires_grad=i in case.differentiable) for i, one in enumerate(case.operands)]
    with np.errstate(all="ignore"):
        with record_values():
            y = case.call(*[one if one.requires_grad else one.data for one in leaves])
        y.backward(np.ones(y.shape))
    named = {name: leaf for name, leaf in zip(names, leaves, strict=True) if leaf.requires_grad}
    steps = [step for step in graph_of(y, names={**named, "y": y}).steps() if step.phase == "backward" and step.into]
    if not steps:
        return []
    return [(str(part.operand), part.right.latex.replace("dy/dy", "g")) for part in steps[0].into]


def takes(op: Op) -> str:
    """Which arrays are legal."""
    sample = op.samples
    if isinstance(sample, Elementwise):
        return "Arrays of any shapes that broadcast; floats stay what they are, the wider of several dtypes wins."
    kind = (inspect.getdoc(type(sample)) or "").split(". ")[0].split("\n")[0].rstrip(".")
    return prose(f"{kind}.") if kind else ""


def primitive_entry(row: Any) -> str:
    """One declared operation."""
    op = row.op
    where = "" if row.public else " (a part of others; not public)"
    text = f"### {row.name}\n\n"
    function = getattr(ops, row.name) if row.public else None
    text += f"```python\ntg.ops.{row.name}{signature(function)}\n```\n\n" if function is not None else ""
    named = getattr(op.call, "__doc__", None) or row.what
    text += f"{prose(inspect.cleandoc(named))}{where}\n\n"
    text += f"- Takes: {takes(op)}\n- Formula: {row.formula}\n"
    if row.differentiable:
        for name, latex in gradients(op):
            text += f"- Gradient by `{name}`: $`{latex}`$\n"
    else:
        text += "- Gradient: none.\n"
    text += f"- Accuracy: class {row.contract}, over {row.range}.\n- Why it is one operation: {WHY[row.name]}.\n"
    corners = [f"`{one}` at {at}: {slope}" for one, at, slope in KINKS if re.search(rf"\b{row.name}\(", one)]
    text += f"- At kinks: {'; '.join(corners)}.\n" if corners else ""
    case = _case(op)
    with np.errstate(all="ignore"):
        given = [np.round(one, 2) if one.dtype.kind == "f" else one for one in case.operands]
        result = case.forward(given)
    inputs = ", ".join(map(_array, given))
    params = "".join(f", {key}={value!r}" for key, value in case.params.items())
    return text + f"\n```text\n{row.name}({inputs}{params})\n= {_array(result)}\n```\n\n"


def _array(array: Any) -> str:
    shown_as = np.array2string(np.asarray(array), precision=4, separator=", ", threshold=12, max_line_width=10_000)
    return re.sub(r"\s+", " ", shown_as)


KINKS = re.findall(
    r"^\| `(.*?)` \| (\S+) \| (\S+) \|", (HERE.parent / "kinks.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)


# --- pages ----------------------------------------------------------------------------------------


def families() -> dict[str, list[tuple[str, str, Any]]]:
    """For each page the prefix, name and function of what stands on it."""
    pages: dict[str, list[tuple[str, str, Any]]] = {name: [] for name in TITLES}
    homes = dict(compositions.HOMES)
    primitives = {row.name for row in op_table._rows()}
    for name in (*tg.__all__, *ops.__all__):
        value = getattr(tg, name, None) or getattr(ops, name)
        if callable(value) and not inspect.isclass(value) and name not in homes and name not in primitives:
            room = value.__module__.rpartition(".")[2]
            homes[name] = ROOMS.get(room, "making" if room == "tensor" else "")
    for name, home in homes.items():
        if home in pages:
            where = tg if hasattr(tg, name) else ops
            pages[home].append(("tg." if where is tg else "tg.ops.", name, getattr(where, name)))
    for name, home in compositions.METHODS.items():
        if home in pages and name not in homes and not name.startswith("_"):
            pages[home].append(("Tensor.", name, compositions.function(name, home)))
    pages["linalg"] = [("tg.linalg.", name, getattr(linalg, name)) for name in linalg.__all__]
    pages["functional"] = [("tg.nn.functional.", name, getattr(functional, name)) for name in functional.__all__]
    return {page: sorted(found, key=lambda one: one[1].lower()) for page, found in pages.items()}


def texts() -> dict[str, str]:
    """Every page by its file name."""
    found = {}
    rows = sorted((row for row in op_table._rows() if row.name in WHY), key=lambda row: row.name)
    start = "\n".join(f">>> {name} = {text}" for name, text in WORLD.items())
    imports = ">>> import numpy as np\n>>> import tinygrad_mlp as tg\n>>> from tinygrad_mlp import Tensor"
    header = f"```python\n{imports}\n{start}\n```\n\n"
    index = (
        "# Reference\n\nWritten by `python docs/reference/write.py`; a test sees that it is up to date and that every "
        "example prints what stands here.\n\n"
    )
    for page, members in families().items():
        index += f"- [{TITLES[page]}]({page}.md): {len(members)}\n"
        text = f"# {TITLES[page]}\n\n[All pages](README.md). What the examples begin with:\n\n{header}"
        found[f"{page}.md"] = text + "".join(entry(*one) for one in members)
    index += f"- [Operations](operations.md), of which everything else is made: {len(rows)}\n"
    text = (
        "# Operations\n\n[All pages](README.md). Each is declared once; its gradient, the pictures, the compiled code "
        "and its tests follow from that. `g` is the incoming gradient, `y` the result; sums undo broadcasting. Errors: "
        "operands whose shapes do not fit raise `ShapeError`, dtypes that are no numbers `DTypeError`. The errors "
        "measured are in [docs/ops.md](../ops.md).\n\n"
    )
    found["operations.md"] = text + "".join(primitive_entry(row) for row in rows)
    found["README.md"] = index
    return {name: re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n" for name, text in found.items()}


if __name__ == "__main__":
    for file, text in texts().items():
        (HERE / file).write_text(text, encoding="utf-8")
        print(f"{file}: {text.count(chr(10) + '### ')} entries")
