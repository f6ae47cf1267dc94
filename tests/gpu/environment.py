"""What a machine has of what drun needs on a GPU: driver, CUDA's libraries, NCCL."""
import ctypes
import glob
import json
import os
import pathlib

from steps import Skip, run

NCCL_FOR_RANKS_ON_ONE_GPU = 23200  # 2.32: NCCL_MULTI_RANK_GPU_ENABLE


def package_folders(python):
    """Where pip puts NVIDIA's libraries for this Python, if it has any."""
    try:
        done = run([python, "-c", "import nvidia; print(*nvidia.__path__, sep='\\n')"], 20)
    except Skip:
        return []
    return [folder for line in done.out.splitlines() for folder in sorted(glob.glob(line + "/*/lib"))]


def library_path(python):
    """LD_LIBRARY_PATH with CUDA's own libraries before those of Python packages."""
    own = [p for p in (os.environ.get("LD_LIBRARY_PATH", ""), "/usr/local/cuda/lib64") if p]
    return ":".join(own + package_folders(python))


def find_nccl(given, path):
    """The file of NCCL: as given, or the first in the folders of `path`; None where there is none."""
    if given:
        return pathlib.Path(given).resolve()
    found = (pathlib.Path(folder) / "libnccl.so.2" for folder in path.split(":"))
    return next((file for file in found if file.exists()), None)


def nccl_version(file):
    """As ncclGetVersion says it, 23203 for 2.32.3. Raises Skip."""
    if file is None:
        raise Skip("no libnccl.so.2 here: give --nccl FILE")
    try:
        library, version = ctypes.CDLL(str(file)), ctypes.c_int()
        library.ncclGetVersion(ctypes.byref(version))
    except (OSError, AttributeError) as error:
        raise Skip(f"{file}: {error}") from None
    return version.value


def environment(drun, nccl, env):
    """A step: what there is. It passes where a GPU answers; drun's own view is among the figures."""
    def step(clock):
        query = "name,driver_version,memory.total,compute_cap,clocks.max.sm,clocks.max.mem"
        smi = run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], min(20, clock.left()))
        doctor = run([drun, "doctor", "--json"], min(20, clock.left()), env)
        figures = {"gpus": smi.out.strip().splitlines(),
                   "doctor": json.loads(doctor.out) if doctor.status == 0 else doctor.tail()}
        try:
            figures["nccl"] = {"file": str(nccl), "version": nccl_version(nccl)}
        except Skip as why:
            figures["nccl"] = str(why)
        passed = smi.status == 0 and bool(figures["gpus"]) and doctor.status == 0
        return passed, "; ".join(figures["gpus"]) or smi.tail(), figures
    return step


def gpus():
    try:
        done = run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], 20)
    except Skip:
        return 0
    return len(done.out.split()) if done.status == 0 else 0
