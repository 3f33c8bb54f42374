"""The pages of the reference, written from the docstrings whenever the site is built (a hook of mkdocs).

Most functions are made from tables when the package is imported, so the pages are written from what stands there then.
"""

import importlib
import inspect
import re
import textwrap
import types

from mkdocs.structure.files import File

import tapejit as tj

TRANSFORMS = ("tapejit.replay", "tapejit.control")  # the rooms whose functions take functions
SPACES = {
    "tapejit": "Transforms and loops: functions that take functions.",
    "tapejit functions": "The functions of tensors.",
    "tapejit.Tensor": "The methods of a tensor.",
    "tapejit.ComplexTensor": "The methods of a complex tensor.",
    "tapejit.autograd": "Gradients of eager tensors, hooks, functions with derivatives of their own.",
    "tapejit.autograd.forward_ad": "Forward mode by dual tensors.",
    "tapejit.nopython": "Gradients of Numba's functions.",
    "tapejit.nopython.implicit": "Solutions of equations inside compiled code.",
    "tapejit.nopython.optimize": "Optimisers as compiled loops.",
    "tapejit.optimize": "SciPy's optimisers with exact derivatives.",
    "tapejit.implicit": "Solutions of equations as differentiable functions.",
    "tapejit.linalg": "Linear algebra by LAPACK.",
    "tapejit.fft": "Fourier transforms.",
    "tapejit.special": "Special functions.",
    "tapejit.nn": "Layers, losses and their containers.",
    "tapejit.nn.functional": "Layers and losses as functions.",
    "tapejit.optim": "Optimisers and schedules.",
    "tapejit.optim.lr_scheduler": "Schedules of the learning rate.",
    "tapejit.optim.swa_utils": "Averaged parameters.",
    "tapejit.distributions": "Distributions of random numbers.",
    "tapejit.utils.data": "Data sets and loaders.",
    "tapejit.distributed": "Sums and ensembles on a Dask cluster.",
    "tapejit.func": "The transforms under the names of torch.func.",
    "tapejit.scipy.stats": "Densities and distribution functions.",
    "tapejit.array_api": "The Array API standard.",
    "tapejit.testing": "Comparisons for tests.",
    "tapejit.viz": "Pictures of graphs, and the profile of eager code.",
}
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Example|Examples|Source):\s*$")


def described(docstring):
    """A docstring as Markdown: sections become headings in bold, their entries a list."""
    lines, listing = [], False
    for line in inspect.cleandoc(docstring).replace("``", "`").splitlines():
        section = SECTION.match(line.strip())
        entry = re.match(r"^( {4})?(\*{0,2}[\w, .*]+):\s(.*)$", line) if listing else None
        if section:
            listing = section[1] in ("Args", "Raises", "Yields")
            lines += ["", f"**{section[1]}**", ""]
        elif entry and (line.startswith("    ")) and not line.startswith("     "):
            lines.append(f"- `{entry[2].strip()}`: {entry[3]}")
        elif listing and line.startswith("     "):
            lines.append(f"    {line.strip()}")
        else:
            listing = listing and not (line.strip() and not line.startswith(" "))
            lines.append(line if line.startswith("    ") and not listing and is_code(line) else line.strip())
    return "\n".join(lines).strip()


def is_code(line):
    return bool(re.search(r"[=(\[>]", line))


def signature(value):
    try:
        shown = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    return re.sub(r"tapejit\.(\w+\.)*", "", shown)


def entry(name, value):
    title = f"### `{name}` {{ #{anchor(name)} }}\n\n"
    if isinstance(value, property):
        return f"{title}{described(value.__doc__ or '')}\n\n"
    library = (getattr(value, "__module__", None) or "tapejit").split(".")[0]
    if isinstance(value, type) and library != "tapejit":
        return f"{title}The class of {library} under this name.\n\n"
    call = f"```text\n{_folded(name.rsplit('.', 1)[-1] + signature(value))}\n```\n\n" if callable(value) else ""
    return f"{title}{call}{described(value.__doc__ or '')}\n\n"


def _folded(call):
    """A signature in lines that a page is wide enough for."""
    return textwrap.fill(call, 88, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def anchor(name):
    return re.sub(r"\W", "-", name)


def found(space):
    space = space.removesuffix(" functions")
    if space in ("tapejit.Tensor", "tapejit.ComplexTensor"):
        return getattr(tj, space.removeprefix("tapejit."))
    try:
        return importlib.import_module(space)
    except ModuleNotFoundError:  # a namespace that is an attribute
        owner, _, name = space.rpartition(".")
        return getattr(importlib.import_module(owner), name)


def members(holder):
    """The public names with what they are: functions, classes and properties."""
    names = [name for name in getattr(holder, "__all__", None) or dir(holder) if not name.startswith("_")]
    for name in sorted(set(names), key=lambda name: (name.lower(), name)):
        value = inspect.getattr_static(holder, name) if isinstance(holder, type) else getattr(holder, name)
        value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if not isinstance(value, types.ModuleType) and (callable(value) or isinstance(value, property)):
            yield name, value


def page(space, about):
    holder = found(space)
    text = f"# {space}\n\n{about}\n\n"
    in_place = []
    for name, value in members(holder):
        if holder is tj and (space == "tapejit") != getattr(value, "__module__", "").startswith(TRANSFORMS):
            continue
        if name.endswith("_") and not (value.__doc__ or "").strip():
            in_place.append(f"`{name}`")
        else:
            text += entry(name, value)
    if in_place:
        text += f"### In place\n\nAs the functions without the underscore, into the first tensor: {', '.join(in_place)}.\n"
    return text


def path(space):
    return f"reference/{re.sub('[ .]', '_', space)}.md"


def on_config(config):
    """A page for each namespace in the section of the reference."""
    (section,) = (entry["Reference"] for entry in config.nav if "Reference" in entry)
    section[1:1] = [{space: path(space)} for space in SPACES]
    return config


def on_files(files, config):
    index = "# Reference\n\nEvery public name, from its docstring.\n\n| namespace | holds |\n|---|---|\n"
    for space, about in SPACES.items():
        files.append(File.generated(config, path(space), content=page(space, about)))
        index += f"| [{space}]({path(space).removeprefix('reference/')}) | {about} |\n"
    files.append(File.generated(config, "reference/index.md", content=index))
    return files
