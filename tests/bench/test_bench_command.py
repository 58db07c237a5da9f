"""isoloss bench from the command line: the contract of --json, options and mistakes, what is kept in the store, and that
time estimates use it. Speeds themselves are never judged.

test_bench_command.py ISOLOSS. Prints TAP.
"""
import json
import math
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, path_of, select, write  # noqa: E402

TINY = ["--layers", "2", "--width", "32", "--vocabulary", "96", "--context", "32", "--batch", "2"]
MODEL = {"layers": 2, "width": 32, "vocabulary": 96, "context": 32, "batch": 2}
SPEC = """experiment: tiny
corpus: {source: markov2}
base:
  model: {layers: 2, width: 32, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 50}
"""


def isoloss(home, *arguments):
    return harness.run(*arguments, home=home)


def bench(home, *arguments):
    code, out, err = isoloss(home, "bench", *arguments, "--quick", "--json")
    check(code == 0, err)
    return json.loads(out), err


def is_rate(number):
    return isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number) and number > 0


def follows_contract(row, unit):
    check(isinstance(row["name"], str) and row["backend"] == "cpu", row)
    check(row["dtype"] in ("float32", "bfloat16"), row)
    check(("shape" in row) != ("model" in row), row)
    units = {"tokens_per_second", "gflops", "gbytes_per_second"} & set(row)
    check(units == {unit} and is_rate(row[unit]), row)
    check(is_rate(row["peak_ratio"]) and (row["floor_ratio"] is None or is_rate(row["floor_ratio"])), row)
    # Shares are of a peak that was measured here, on this device: there is no table of devices to take a wrong one from.
    check(row["peak_source"] in ("registers", "best product") and is_rate(row["peak_gflops"]), row)


@case
def products():
    rows, err = bench("products", "gemm", "64x48x32", "33x17x5", "--dtype", "float32")
    check([(row["name"], row["shape"]) for row in rows] ==
          [("gemm NT", "64x48x32"), ("gemm NN", "64x32x48"), ("gemm TN", "48x32x64"),
           ("gemm NT", "33x17x5"), ("gemm NN", "33x5x17"), ("gemm TN", "17x5x33")], rows)
    for row in rows:
        follows_contract(row, "gflops")
        m, n, k = map(int, row["shape"].split("x"))
        check(abs(2e-9 * m * n * k / row["seconds"] / row["gflops"] - 1) < 1e-9, row)
        check(abs(row["gflops"] / row["peak_gflops"] / row["peak_ratio"] - 1) < 1e-9, row)
        check(row["peak_ratio"] <= row["floor_ratio"] * (1 + 1e-9), "the roofline lies under the peak")
        check(row["peak_ratio"] < 1 + 1e-9, "the peak is the best seen")
    check("bench: gemm 64x48x32, float32" in err and "kept in" in err, err)
    (document,), = select("products", "SELECT document FROM benchmarks WHERE suite = 'gemm'")
    check(json.loads(document) == rows, "the store has what was printed")
    check(select("products", "SELECT count(*) FROM throughput") == [(0,)], "products are no training speed")


@case
def all_dtypes_by_default():
    rows, _ = bench("dtypes", "gemm", "32x32x32", "--no-store")
    dtypes = {row["dtype"] for row in rows}
    check("float32" in dtypes, rows)
    # Each library's three forms, side by side: oneDNN's, and in bfloat16 ours where the CPU has a kernel for it.
    for dtype in dtypes:
        libraries = {row["library"] for row in rows if row["dtype"] == dtype}
        widened = dtype == "bfloat16" and libraries == {"widened"}  # oneDNN has no such products on this CPU
        check(widened or "onednn" in libraries and libraries <= {"onednn", "avx512-bf16", "amx"}, rows)
        check(dtype == "bfloat16" or libraries == {"onednn"}, rows)
        for library in libraries:
            names = [row["name"] for row in rows if row["dtype"] == dtype and row["library"] == library]
            check(names == ["gemm NT", "gemm NN", "gemm TN"], rows)
    check(not os.path.exists(path_of("dtypes")), "--no-store made a folder")


@case
def operations():
    rows, _ = bench("ops", "ops", *TINY, "--dtype", "float32")
    for row in rows:
        follows_contract(row, "gflops" if "gflops" in row else "gbytes_per_second")
        check(row["repeats"] >= 2 and row["seconds"] > 0, row)
        check(len(row["sizes"].split(", ")) >= len(row["shape"].split("x")), row)
    check(len({row["level"] for row in rows}) == 1, "one level, the one that runs take")
    shapes = {(row["name"], row["shape"]): row for row in rows}
    check(len(shapes) == len(rows), "a row for each operation and shape")
    # 32 / 32 = 1 head of 32; MLP width 96; 2 sequences of 32 tokens.
    for name, shape in [("linear forward", "64x96x32"), ("linear forward", "64x32x32"), ("linear forward", "64x192x32"),
                        ("linear forward", "64x32x96"), ("linear input gradient", "64x96x32"),
                        ("linear weight gradient", "64x192x32"), ("head with loss", "64x96x32"),
                        ("attention forward", "2x32x1x1x32"), ("attention backward", "2x32x1x1x32"),
                        ("rmsnorm forward", "64x32x1"), ("rmsnorm backward", "64x32x1"), ("qkv forward", "2x32x1x1x32"),
                        ("qkv backward", "2x32x1x1x32"), ("swiglu forward", "64x96"), ("swiglu backward", "64x96"),
                        ("embedding forward", "64x32x96"), ("embedding backward", "64x32x96"),
                        ("convert to bfloat16", "2048"), ("weight prepare, w4", "32x32x192"),
                        ("weights prune, sparse(0.5,global)", "32x32x192x96")]:
        check((name, shape) in shapes, f"no {name} {shape}: {list(shapes)}")
        multiplies = name.split()[0] in ("linear", "head", "attention")
        row = shapes.get((name, shape), {})
        check(("gflops" in row) == multiplies == ("products_ratio" in row), row)
    linear = shapes["linear forward", "64x192x32"]
    check(linear["sizes"] == "rows, outputs, inputs", linear)
    check(abs(linear["gflops"] * linear["seconds"] / (2e-9 * 64 * 192 * 32) - 1) < 1e-9, linear)
    # Causal attention does (T + 1) / 2 keys a query: two products forward, four backward.
    attention = shapes["attention backward", "2x32x1x1x32"]
    check(abs(attention["gflops"] * attention["seconds"] / (4 * 2e-9 * 2 * 32 * 33 / 2 * 32) - 1) < 1e-9, attention)
    swiglu = shapes["swiglu forward", "64x96"]
    check(abs(swiglu["gbytes_per_second"] * swiglu["seconds"] / (3e-9 * 4 * 64 * 96) - 1) < 1e-9, swiglu)
    adamw, = (row for row in rows if row["name"] == "adamw")
    parameters = 2 * 96 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 96) + 5 * 32
    check(adamw["shape"] == str(parameters), adamw)


@case
def types_of_operations():
    rows, _ = bench("types", "ops", *TINY, "--dtype", "bfloat16", "--no-store")
    dtypes = {row["name"]: row["dtype"] for row in rows}
    check(dtypes["linear forward"] == dtypes["swiglu backward"] == "bfloat16", dtypes)
    check(dtypes["adamw"] == dtypes["embedding forward"] == "float32", "what is float32 whatever activations are")


@case
def levels_side_by_side():
    rows, _ = bench("levels", "ops", *TINY, "--dtype", "float32", "--levels")
    levels = list(dict.fromkeys(row["level"] for row in rows))
    known = ["portable", "avx2", "avx512", "avx512-bf16"]
    check(levels == known[:len(levels)], levels)
    for row in rows:
        follows_contract(row, "gflops" if "gflops" in row else "gbytes_per_second")
    by_level = [[(row["name"], row["shape"]) for row in rows if row["level"] == level] for level in levels]
    check(all(names == by_level[0] for names in by_level), "each operation on each level")
    check(len(set(by_level[0])) == len(by_level[0]) > 20, by_level[0])
    (document,), = select("levels", "SELECT document FROM benchmarks WHERE suite = 'ops'")
    check(json.loads(document) == rows, "the store has what was printed")
    code, out, err = isoloss("levels", "bench", "ops", *TINY, "--levels", "--quick", "--no-store", "--quiet")
    head = next((line for line in out.splitlines() if "shape" in line), "")
    check(code == 0 and err == "" and all(f" {level}" in head for level in levels), out + err)
    check(sum(line.startswith("adamw") for line in out.splitlines()) == 1, "a line for all levels: " + out)
    # One level by name, as runs take it.
    code, out, err = harness.run("bench", "ops", *TINY, "--quick", "--no-store", "--quiet", "--json", home="levels",
                                 ISOLOSS_ISA="portable")
    check(code == 0 and {row["level"] for row in json.loads(out)} == {"portable"}, out + err)


@case
def steps():
    (row,), err = bench("steps", "step", *TINY, "--dtype", "float32")
    follows_contract(row, "tokens_per_second")
    check(row["name"] == "step" and row["model"] == MODEL and row["threads"] == 1 and row["clock"] == "processor", row)
    check(row["repeats"] >= 2, row)
    check(abs(sum(row["shares"].values()) - 1) < 1e-9 and min(row["shares"].values()) >= 0, row["shares"])
    check({"linear forward", "head with loss", "attention backward", "adamw"} <= set(row["shares"]), row["shares"])
    check(abs(row["tokens_per_second"] / row["floor_tokens_per_second"] / row["whole_step_floor_ratio"] - 1) < 1e-9, row)
    check(row["whole_step_floor_ratio"] <= row["floor_ratio"] * (1 + 1e-9), "a step of parts at their best is no slower than a step")
    check(row["median_tokens_per_second"] <= row["tokens_per_second"], row)
    # The strictly necessary products: linear layers and head three times, attention over the keys it sees.
    flops = 3 * (2 * (2 * (4 * 32 * 32 + 3 * 32 * 96) + 96 * 32) + 2 * 2 * 2 * 32 * 33 / 2)
    check(abs(row["tokens_per_second"] * flops * 1e-9 / row["peak_gflops"] / row["peak_ratio"] - 1) < 1e-9, row)
    kept = select("steps", "SELECT source, backend, dtype, format, threads, layers, width, vocabulary, context, "
                           "batch_tokens, flops_per_token, tokens_per_second FROM throughput")
    check(kept == [("bench", "cpu", "float32", "none", 1, 2, 32, 96, 32, 64, flops, row["tokens_per_second"])], kept)
    check("bench: step 2 x 32, float32" in err, err)
    # Again: the last one counts.
    bench("steps", "step", *TINY, "--dtype", "float32", "--quiet")
    check(select("steps", "SELECT count(*) FROM throughput") == [(1,)], "one speed for each shape")
    check(select("steps", "SELECT count(*) FROM benchmarks") == [(1,)], "one document for each suite")


@case
def ladder():
    rows, err = bench("ladder", "step", "--vocabulary", "64", "--context", "16", "--batch", "1", "--quiet")
    check([(row["model"]["layers"], row["model"]["width"]) for row in rows] == [(2, 64), (4, 128), (4, 256)], rows)
    check(all(row["model"]["vocabulary"] == 64 and row["model"]["context"] == 16 for row in rows), rows)
    check(err == "", "--quiet is quiet: " + err)


@case
def side_by_side():
    rows, _ = bench("sharing", "step", *TINY, "--side-by-side", "2", "--dtype", "float32")
    check([(row["name"], row["processes"], row["threads"]) for row in rows] ==
          [("step", 1, 1), ("steps at once", 2, 1), ("step on threads", 1, 2)], rows)
    for row in rows:
        follows_contract(row, "tokens_per_second")
    alone, shared, threads = rows
    check(abs(1 - shared["floor_ratio"] / alone["floor_ratio"] - shared["loss_by_sharing"]) < 1e-9, rows)
    check(threads["floor_ratio"] is None and threads["clock"] == "wall", threads)
    kept = select("sharing", "SELECT threads FROM throughput ORDER BY threads")
    check(kept == [(1,), (2,)], kept)
    check(select("sharing", "SELECT suite FROM benchmarks") == [("sharing",)], "suite")


@case
def estimates_use_it():
    path = write("tiny.yaml", SPEC)
    code, out, err = isoloss("plan", "plan", path)
    check(code == 0 and "timed just now" in out + err and "measured speeds of this host" not in out + err, out + err)
    bench("plan", "step", *TINY, "--dtype", "float32")
    code, out, err = isoloss("plan", "plan", path)
    check(code == 0 and "measured speeds of this host" in out + err and "timed just now" not in out + err, out + err)
    # And it is that speed: a hundredth of it takes a hundred times as long.
    def seconds():
        code, out, err = isoloss("plan", "plan", path, "--json")
        return json.loads(out)[0]["estimated_seconds"]
    before = seconds()
    database = sqlite3.connect(path_of("plan", "isoloss.db"))
    database.execute("UPDATE throughput SET tokens_per_second = tokens_per_second / 100")
    database.commit()
    database.close()
    check(abs(seconds() / before / 100 - 1) < 1e-6, (before, seconds()))


@case
def tables():
    code, out, err = isoloss("tables", "bench", "step", *TINY, "--quick", "--no-store", "--quiet")
    check(code == 0 and "2x32" in out and "peak in" in out and "head with loss" in out and err == "", out + err)
    code, out, err = isoloss("tables", "bench", "ops", *TINY, "--quick", "--no-store", "--quiet")
    check(code == 0 and "roofline" in out and "GB/s" in out and "GFLOP/s" in out and err == "", out + err)


@case
def formats_of_a_step():
    rows, err = bench("formats", "formats", "w4a4", "lsq-w2a2", "sparse(0.5,global)", *TINY, "--dtype", "float32")
    check([r["format"] for r in rows] == ["w4a4", "lsq-w2a2", "sparse(0.5,global)"], rows)
    check(all(r["name"] == "step" and 0 < r["time_ratio"] < 100 and r["tokens_per_second"] > 0 and
              "floor_ratio" not in r for r in rows), rows)
    check("bench: lsq-w2a2, 2 x 32, float32" in err, err)
    kept = select("formats", "SELECT count(*) FROM throughput")
    check(kept == [(3,)], "the speed of each format is kept: %r" % kept)


@case
def optimizers_of_a_step():
    rows, err = bench("optimizers", "step", *TINY, "--dtype", "float32", "--optimizer", "adamw,muon,soap,adamw")
    check([r["optimizer"] for r in rows] == ["muon", "soap", "adamw"] and {r["against"] for r in rows} == {"adamw"}, rows)
    check(all(r["name"] == "step" and 0 < r["time_ratio"] < 1000 and "floor_ratio" not in r for r in rows), rows)
    check("bench: soap next to adamw, 2 x 32, float32" in err, err)
    code, out, err = isoloss("optimizers", "bench", "step", *TINY, "--quick", "--quiet", "--optimizer", "sgd,lion")
    check(code == 0 and "time / sgd" in out and "lion" in out, out + err)
    check(not os.path.exists(path_of("optimizers", "isoloss.db")), "nothing is kept of them")


@case
def mistakes():
    for arguments, needle in [
            ([], "bench: give a suite"),
            (["steps"], "did you mean 'step'?"),
            (["gemm", "64x64"], "'64x64' is no shape: MxNxK"),
            (["gemm", "64x64x64x"], "is no shape"),
            (["gemm", "0x4x4"], "is no shape"),
            (["gemm", "8x8x9999999"], "is no shape"),
            (["step", "64x64x64"], "takes no shapes"),
            (["formats", "w44"], "1 to 8 bits"),
            (["formats", "w4a4[hadamard(256)]", "-w", "64"], "does not divide"),
            (["step", "--widht", "64"], "did you mean --width?"),
            (["step", "--width", "50"], "50 is not a multiple of 16"),
            (["step", "--layers", "0"], "--layers 0: must be"),
            (["step", "--width", "wide"], "needs a whole number"),
            (["step", "--context", "-3"], "--context -3: must be"),
            (["step", "--batch", "0"], "--batch 0: must be"),
            (["step", "--vocabulary", "0"], "--vocabulary 0: must be"),
            (["step", "--dtype", "float16"], "not 'float16'"),
            (["gemm", "--dtype", "int8"], "not 'int8'"),
            (["ops", "--threads", "0"], "--threads is 1 to"),
            (["gemm", "--side-by-side", "2"], "--side-by-side is for step"),
            (["step", "--levels"], "--levels is for ops"),
            (["gemm", "--optimizer", "muon"], "--optimizer is for step"),
            (["step", "--optimizer", "muonn"], "did you mean 'muon'"),
            (["step", "--optimizer", "adamw,muonn"], "did you mean 'muon'"),
            (["step", "--optimizer", "adamw,"], "--optimizer"),
            (["step", "--optimizer", "adamw,muon", "--side-by-side", "2"], "exclude each other"),
            (["step", "--side-by-side", "1"], "--side-by-side is 2 to"),
            (["step", "--side-by-side", "2", "--threads", "2"], "exclude each other")]:
        code, out, err = isoloss("mistakes", "bench", *arguments, "--quick", "--quiet")
        check(code == 2 and needle in err and out == "" and err.count("\n") == 1, (arguments, code, out, err))
    check(not os.path.exists(path_of("mistakes")), "a mistake made a folder")


@case
def results_come_before_the_disk():
    write("file", "")
    code, out, err = isoloss("file/home", "bench", "gemm", "16x16x16", "--quick", "--json", "--dtype", "float32")
    check(code == 3 and len(json.loads(out)) == 3 and "isoloss:" in err, (code, out, err))


harness.finish()
