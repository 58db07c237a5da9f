"""GPTQ of the same layers in PyTorch, as the side-by-side of `compress: {method: gptq}`.

  torch_gptq.py BENCH_COMPRESS_LAYER [WIDTH [LAYERS [TOKENS]]]

Runs the benchmark in C, which leaves the weights, the inputs of the calibration and its own result of each kind of matrix of a
block, and does the same to the same tensors with torch: the Hessian in float32, its inverse's Cholesky factor, and the sweep
in blocks of 128 inputs with all later ones moved once a block (Frantar et al. 2023). 4 bits, groups of 64, damping 0.01. Both
on one thread, processor seconds, least of three. Errors of outputs are measured in double precision for both.

Needs torch; exit code 77 when it is missing."""
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
try:
    import torch
except ImportError as missing:
    print("torch_gptq: %s" % missing, file=sys.stderr)
    sys.exit(77)
torch.set_num_threads(1)

BITS, GROUP, BLOCK, DAMPING, ROUNDS = 4, 64, 128, 0.01, 3


def timed(work):
    """The least processor seconds of a few rounds, and the last result."""
    least = float("inf")
    for _ in range(ROUNDS):
        begin = time.thread_time()
        result = work()
        least = min(least, time.thread_time() - begin)
    return least, result


def hessian(x):
    x = x.float()
    return x.T @ x / x.shape[0]


def nearest(w, scale):
    """The nearest of 2^b levels that lie half a step beside whole steps, as isoloss' intB has them."""
    most = 2 ** (BITS - 1) - 0.5
    return scale * torch.clamp(torch.floor(w / scale) + 0.5, -most, most)


def gptq(weights, h):
    outputs, inputs = weights.shape
    groups = weights.reshape(outputs, inputs // GROUP, GROUP)
    scales = groups.abs().amax(2) / (2 ** (BITS - 1) - 0.5)
    h = h + DAMPING * h.diagonal().mean() * torch.eye(inputs)
    u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    w, q = weights.clone(), torch.empty_like(weights)
    for begin in range(0, inputs, BLOCK):
        end = min(begin + BLOCK, inputs)
        errors = torch.empty(outputs, end - begin)
        for i in range(begin, end):
            q[:, i] = nearest(w[:, i], scales[:, i // GROUP])
            error = (w[:, i] - q[:, i]) / u[i, i]
            w[:, i:end] -= error[:, None] * u[i, i:end]
            errors[:, i - begin] = error
        w[:, end:] -= errors @ u[begin:end, end:]
    return q


def output_error(q, w, x):
    x = x.double()
    return float(((q - w).double() @ x.T).square().sum() / (w.double() @ x.T).square().sum())


def main():
    bench, *sizes = sys.argv[1:]
    width, layers, tokens = [int(size) for size in sizes] + [256, 4, 65536][len(sizes):]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([bench, str(width), str(layers), str(tokens), folder], check=True, capture_output=True, text=True)
        print(done.stdout, end="")
        print("\ntorch %s, one thread" % torch.__version__)
        print("%-16s %10s %10s %10s %10s %10s %10s %8s" % ("matrix", "forward", "torch", "Hessian", "torch", "gptq", "torch", "equal"))
        with open(os.path.join(folder, "layers"), encoding="utf-8") as file:
            lines = [line.split() for line in file]
        total = [0.0] * 6
        for m, (layer, before) in enumerate(zip(lines[::2], lines[1::2])):
            outputs, inputs = int(layer[0]), int(layer[1])

            def read(what, dtype, shape):
                with open(os.path.join(folder, "%d.%s" % (m, what)), "rb") as file:
                    return torch.frombuffer(bytearray(file.read()), dtype=dtype).reshape(shape)

            x = read("inputs", getattr(torch, layer[2]), (-1, inputs))
            w, own = read("weights", torch.float32, (outputs, inputs)), read("represented", torch.float32, (outputs, inputs))
            many = tokens / x.shape[0]
            w_low = w.to(x.dtype)
            forward, _ = timed(lambda: x @ w_low.T)
            of_hessian, h = timed(lambda: hessian(x))
            of_gptq, q = timed(lambda: gptq(w, h))
            seconds = [float(before[1]), forward * many, float(before[0]), of_hessian * many, float(layer[3]), of_gptq]
            equal = float(((q - own).abs() < 1e-4 * w.abs().amax()).double().mean())
            print("%-16s" % ("%d x %d" % (outputs, inputs)) + "".join(" %10.4f" % second for second in seconds) +
                  " %7.2f%%" % (100 * equal))
            print("  errors of outputs: isoloss %.6f, torch %.6f" % (output_error(own, w, x), output_error(q, w, x)))
            total = [sum_ + layers * second for sum_, second in zip(total, seconds)]
        print("%-16s" % ("%d blocks" % layers) + "".join(" %10.4f" % second for second in total))
        print("Hessians and gptq: isoloss %.3f s, torch %.3f s" % (total[2] + total[4], total[3] + total[5]))


if __name__ == "__main__":
    main()
