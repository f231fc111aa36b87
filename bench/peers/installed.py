"""What the bench scripts that run peers share: where a peer is installed, the processor's name, how a report is saved."""
import json
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent.parent
LLAMA_CPP = "llama-cpp-python==0.3.36"
_AVX2 = "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF"
_LLAMA_CPP_FLAGS = {"": "", "avx2": _AVX2}


def python_with(given, venv, modules, packages, pip=(), env=None):
    """A Python that imports `modules`: `given`, or that of bench/`venv`, where `packages` are installed at need."""
    if given:
        return given
    folder = BENCH / venv
    python = folder / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", f"import {modules}"], stderr=subprocess.DEVNULL).returncode != 0:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pip, *packages], check=True, env=dict(os.environ, **(env or {})))
    return str(python)


def llama_cpp_python(given, isa=""):
    """A Python that has llama.cpp, compiled for `isa` or for this processor."""
    if isa not in _LLAMA_CPP_FLAGS:
        print(f"the peer is compiled for this processor, and Kinglet runs its {isa} kernels", file=sys.stderr)
        isa = ""
    # Never a wheel that an earlier installation compiled with other flags.
    return python_with(given, f".venv-{isa}" if isa else ".venv", "llama_cpp", [LLAMA_CPP],
                       ["--no-cache-dir", "--no-binary", "llama-cpp-python"], {"CMAKE_ARGS": _LLAMA_CPP_FLAGS[isa]})


def compiled_for(given, isa):
    """What a report says of the peer that llama_cpp_python() gives."""
    return f" compiled for {isa}" if isa and isa in _LLAMA_CPP_FLAGS and not given else ""


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def save(out, markdown, report):
    """OUT.md and OUT.json; nothing where `out` is empty."""
    if not out:
        return
    pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(out + ".md").write_text(markdown, encoding="utf-8")
    pathlib.Path(out + ".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
