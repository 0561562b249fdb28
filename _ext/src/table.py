"""Makes of kernels.def what states its kernels again: C headers, and the declarations for Cython.

``write(folder)`` writes, for the build:

``kernel_table.h``
    The struct of function pointers, and its entries for one dtype.
``kernel_calls.h``
    For each kernel a call that also appends itself to the recording under way, see record.h, and how it is made again.
``kernel_calls.pxi``
    Those calls' declarations.
"""

import re
from dataclasses import dataclass
from pathlib import Path

C_TYPES = {"status": "int", "rate": "double", "count": "double"}


@dataclass
class Argument:
    """One argument of a kernel."""

    type: str
    name: str

    @property
    def c(self):
        """Its declaration in C."""
        space = "" if self.type.endswith("*") else " "
        return f"{C_TYPES.get(self.type, self.type)}{space}{self.name}"

    @property
    def is_output_number(self):
        """Whether it is where the kernel writes one number."""
        return self.type == "double *"

    def to_cell(self, i):
        """Return the statement that writes it to an operation's cell number i."""
        cell = f"op->args[{i}]"
        if self.type == "const sdl_conv *":
            return f"op->sizes = *{self.name};"
        if self.is_output_number:
            return f"{cell}.p = NULL;"
        if self.type.endswith("*"):
            return f"{cell}.p = (void *){self.name};"
        if C_TYPES.get(self.type, self.type) == "double":
            return f"{cell}.d = {self.name};"
        return f"{cell}.i = {self.name};"

    def from_cell(self, i):
        """Return the expression that reads it back."""
        cell = f"op->args[{i}]"
        if self.type == "const sdl_conv *":
            return "&op->sizes"
        if self.is_output_number:
            return f"{cell}.p ? {cell}.p : &op->number"
        if self.type.endswith("*"):
            return f"{cell}.p"
        if C_TYPES.get(self.type, self.type) == "double":
            return f"{cell}.d"
        if self.name == "n_threads":
            return "n_threads"
        return f"(int){cell}.i" if self.type == "int" else f"{cell}.i"


@dataclass
class Kernel:
    """A row of the table."""

    type: str
    name: str
    arguments: list

    @property
    def c_type(self):
        """What it returns in C."""
        return C_TYPES.get(self.type, self.type)

    @property
    def c_arguments(self):
        """Its argument list in C."""
        return ", ".join(argument.c for argument in self.arguments)


def read():
    """Return the kernels of kernels.def."""
    text = Path(__file__).with_name("kernels.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    kernels = []
    for statement in filter(None, map(str.strip, text.split(";"))):
        found = re.fullmatch(r"(status|void|int) (\w+)\((.*)\)", " ".join(statement.split()))
        if found is None:
            raise ValueError(f"kernels.def: not a kernel: {statement}")
        arguments = []
        for argument in found[3].split(", "):
            type_, star, name = re.fullmatch(r"(.*?) (\*?)(\w+)", argument).groups()
            arguments.append(Argument(f"{type_} *" if star else type_, name))
        kernels.append(Kernel(found[1], found[2], arguments))
    return kernels


def table_header(kernels):
    """Return the text of kernel_table.h."""
    lines = ["typedef struct {"]
    lines += [f"    {k.c_type} (*{k.name})({k.c_arguments});" for k in kernels]
    lines += ["} sdl_kernels;", "", "#define SDL_KERNELS(suffix) \\", "    { \\"]
    lines += [f"        .{k.name} = {k.name}_##suffix, \\" for k in kernels]
    most = max(len(k.arguments) for k in kernels)
    return "\n".join([*lines, "    }", "", f"enum {{ SDL_MOST_ARGUMENTS = {most} }};", ""])


def calls_header(kernels):
    """Return the text of kernel_calls.h."""
    return "\n".join(_call(k) for k in kernels)


def _call(k):
    names = ", ".join(argument.name for argument in k.arguments)
    head = f"static inline {k.c_type} sdl_call_{k.name}(const sdl_kernels *kernels, {k.c_arguments})"
    if k.type == "int":
        return f"{head}\n{{\n    return kernels->{k.name}({names});\n}}\n"
    cells = "\n        ".join(argument.to_cell(i) for i, argument in enumerate(k.arguments))
    rows = sum(1 << i for i, argument in enumerate(k.arguments) if argument.type == "const intptr_t *")
    varying = f"\n        op->rows = {rows};"
    varying += "".join(
        f"\n        op->{argument.type} = {i};"
        for i, argument in enumerate(k.arguments)
        if argument.type in ("rate", "count")
    )
    numbers = [i for i, argument in enumerate(k.arguments) if argument.is_output_number]
    varying += "".join(f"\n        op->output_number = {i};" for i in numbers)
    values = ", ".join(argument.from_cell(i) for i, argument in enumerate(k.arguments))
    status = k.type == "status"
    return f"""\
static int sdl_again_{k.name}(sdl_op *op, int n_threads)
{{
    (void)n_threads;
    {"return " if status else ""}op->kernels->{k.name}({values});{"" if status else " return 0;"}
}}

{head}
{{
    sdl_op *op = sdl_append(kernels, "{k.name}", sdl_again_{k.name}, {len(k.arguments)});
    if (op) {{
        {cells}{varying}
    }}
    {"return " if status else ""}kernels->{k.name}({names});
}}
"""


def declarations(kernels):
    """Return the text of kernel_calls.pxi."""
    lines = ['cdef extern from "kernel_calls.h" nogil:']
    for k in kernels:
        types = ", ".join(C_TYPES.get(a.type, a.type) for a in k.arguments)
        lines.append(f'    {k.c_type} call_{k.name} "sdl_call_{k.name}"(const sdl_kernels *, {types}) noexcept')
    return "\n".join([*lines, ""])


def write(folder):
    """Write the three files, each only if it changed."""
    kernels = read()
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "kernel_table.h": table_header(kernels),
        "kernel_calls.h": '#include "record.h"\n\n' + calls_header(kernels),
        "kernel_calls.pxi": declarations(kernels),
    }
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
