"""isoloss compare: pairs, differences, seed noise, p-values, matching along curves and ladders, on losses that are known.

test_compare.py ISOLOSS: prints TAP.
"""
import itertools
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, document, near, path_of, run, write  # noqa: E402

# The loss after D tokens: 2 + 10 k / sqrt(D), where k is 1 for train.lr 0.01 and 1.1 for 0.02, and a word of the seed.
TRAINER = write("trainer.py", """
import json, math, os, sys
config, folder = json.load(open(sys.argv[1]))["config"], sys.argv[2]
steps, batch, seed = config["train.steps"], config["train.batch_tokens"], config["seed"]
k = 1.1 if config["train.lr"] == 0.02 else 1.0
noise = 0.001 * math.sin(7 * seed + 100 * config["train.lr"] + steps)
n = config["model.width"] ** 2
def loss(tokens): return 2 + 10 * k / math.sqrt(tokens) + noise
def line(event, **fields): return json.dumps({"event": event, **fields}) + "\\n"
with open(os.path.join(folder, "events.jsonl"), "a") as events:
    events.write(line("start", parameters={"non_embedding": n}))
    if os.environ.get("DIVERGE") and seed == 3:
        events.write(line("diverged", step=1, message="as asked"))
        sys.exit(0)
    for step in range(steps // 20, steps + 1, steps // 20):
        events.write(line("eval", step=step, tokens=step * batch, loss=loss(step * batch), seconds=step))
    events.write(line("done", step=steps, tokens=steps * batch, loss=loss(steps * batch), flops=6.0 * n * steps * batch,
                      train_seconds=2.0 * steps, wall_seconds=3.0 * steps))
""")


def spec(name, lr, steps="[100, 200]", seeds="[1, 2, 3, 4]", widths="[16]"):
    return write(f"{name}.yaml", f"""experiment: {name}
corpus: {{source: markov2}}
base:
  model: {{layers: 1, context: 32}}
  train: {{batch_tokens: 256, lr: {lr}}}
sweep:
  - grid: {{model.width: {widths}, train.steps: {steps}, seed: {seeds}}}
trainer: {{command: [{sys.executable}, -S, -E, {TRAINER}, '{{config}}', '{{folder}}'], version: '1'}}
""")


def trained(name, lr, **more):
    run("run", spec(name, lr, **more), "--quiet", home="home", code=0)


def runs(*arguments):
    return document("runs", *arguments, home="home")


trained("a", 0.01)
trained("b", 0.02)


@case
def pairs_on_what_both_share():
    told = document("compare", "a", "b", home="home")
    check(told["different"] == ["train.lr"] and told["paired_on"] == ["train.tokens", "seed"] and
          "train.steps" in told["implied"], told["different"], told["paired_on"], told["implied"])
    losses = {row["id"]: row for row in runs()}
    check(len(told["pairs"]) == 8, told["pairs"])
    for pair in told["pairs"]:
        a, b = losses[pair["a"]], losses[pair["b"]]
        check(a["train.lr"] == 0.01 and b["train.lr"] == 0.02 and a["seed"] == b["seed"] and a["tokens"] == b["tokens"], pair)
        near(pair["difference"], b["loss"] - a["loss"], 1e-9, "difference")
    differences = [pair["difference"] for pair in told["pairs"]]
    mean = sum(differences) / 8
    near(told["mean"], mean, 1e-12, "mean")
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / 7)
    near(told["deviation"], deviation, 1e-9, "deviation")
    near(told["high"] - told["mean"], 2.3646242510103 * deviation / math.sqrt(8), 1e-9, "Student's t interval")
    as_far = sum(abs(sum(s * d for s, d in zip(signs, differences))) >= abs(sum(differences)) * (1 - 1e-12)
                 for signs in itertools.product([1, -1], repeat=8))
    check(told["difference"] == "b - a" and told["unit"] == "nats/token" and told["matched_unit"] is None, "units", told)
    check(told["p"] == as_far / 256 and told["p_method"] == "exact sign-flip permutation", told["p"], as_far)


@case
def the_noise_of_seeds_is_that_of_runs_alike_in_all_else():
    told = document("compare", "a", "b", home="home")
    for group, name in zip(told["groups"], "ab"):
        squares, degrees = 0, 0
        for steps in 100, 200:
            losses = [row["loss"] for row in runs(name) if row["train.steps"] == steps]
            squares += sum((loss - sum(losses) / 4) ** 2 for loss in losses)
            degrees += 3
        near(group["seed_noise"], math.sqrt(squares / degrees), 1e-9, "seed noise")
        check(group["seed_noise_degrees"] == 6, group)


@case
def text_says_the_same():
    out = run("compare", "a", "b", home="home", code=0).out
    told = document("compare", "a", "b", home="home")
    check("different (A | B): train.lr (0.01 | 0.02)" in out and "exact sign-flip permutation over 8 units" in out, out)
    check(f"B - A: {told['mean']:+.4f} nats/token, mean over 8 pairs" in out and "seed noise" in out, out)


@case
def few_pairs_cannot_tell():
    told = document("compare", "a", "b", "--where", "seed < 3", home="home")
    check(told["units"] == 4 and told["p"] is None and "cannot tell: 4 units" in told["p_method"], told["p_method"])
    check("p = 0.12" in told["p_method"] and "6 are needed" in told["p_method"], told["p_method"])
    one = document("compare", "a", "b", "--where", "seed == 1 and train.steps == 100", home="home")
    check(one["units"] == 1 and one["p"] is None and one["low"] is None, one)


@case
def many_pairs_take_the_t_test():
    seeds = str(list(range(1, 21)))
    trained("many-a", 0.01, seeds=seeds, steps="[100]")
    trained("many-b", 0.02, seeds=seeds, steps="[100]")
    told = document("compare", "many-a", "many-b", home="home")
    check(told["units"] == 20 and told["p_method"] == "paired t" and told["p"] < 1e-10, told["p"], told["p_method"])
    same = document("compare", "--where", "seed <= 10 and train.lr == 0.01", "--where", "seed > 10 and train.lr == 0.01",
                    "many-a", home="home")
    check(same["averaged"] == ["seed"] and same["units"] == 1, same["averaged"])


@case
def two_selections_of_one_experiment():
    told = document("compare", "a", "--where", "train.steps == 100", "--where", "train.steps == 200", home="home")
    check(len(told["pairs"]) == 4 and told["paired_on"] == ["seed"] and told["mean"] < 0, told)
    check(told["groups"][1]["name"] == "a where train.steps == 200", told["groups"])


@case
def what_is_not_paired_is_counted():
    trained("wider", 0.02, steps="[100, 200, 300]", seeds="[1, 2, 5]")
    told = document("compare", "a", "wider", home="home")
    a, b = told["groups"]
    check(len(told["pairs"]) == 4 and a["no_partner"] == 4 and b["no_partner"] == 5, a, b)
    done = run("run", spec("torn", 0.02, seeds="[3, 4]", steps="[140]"), "--quiet", home="home", DIVERGE="1", code=0)
    check("1 diverged" in done.out, done)
    trained("whole", 0.01, seeds="[3, 4]", steps="[140]")
    told = document("compare", "whole", "torn", home="home")
    check(told["groups"][1]["diverged"] == 1 and told["groups"][0]["partner_unfinished"] == 1 and len(told["pairs"]) == 1,
          told["groups"])
    out = run("compare", "whole", "torn", home="home", code=0).out
    check("1 done, 1 diverged" in out and "whose partners failed, diverged or are not done" in out, out)


@case
def runs_that_are_alike_in_all_but_what_differs_are_refused():
    trained("both", 0.02, seeds="[1, 2]")
    trained("third", 0.04, seeds="[1, 2]")
    done = run("compare", "a", "--where", "seed < 3", "--where", "train.lr > 0.01 and seed < 3", home="home", code=2)
    check("no runs" in done.err, done)
    done = run("compare", "--where", "train.lr == 0.01 and seed < 3 and train.steps == 100",
               "--where", "train.lr > 0.01 and seed < 3 and train.steps == 100", home="home", code=2)
    check("alike in all shared settings" in done.err and "train.lr" in done.err and "--where" in done.err, done)


@case
def matched_tokens_compare_at_the_shorter_end():
    told = document("compare", "a", "--where", "train.steps == 100", "--where", "train.steps == 200", "--match-on", "tokens",
                    home="home")
    check(told["match_on"] == "tokens" and told["match_along"] == "curves" and len(told["pairs"]) == 4, told)
    for pair in told["pairs"]:
        check(pair["at"] == 25600, pair)
        near(pair["value_a"], 2 + 10 / 160, 0.002, "A's loss at its end")
        check(abs(pair["difference"]) < 0.003, "the same curve but for noise", pair)


@case
def matched_loss_gives_the_compute_that_each_needs():
    told = document("compare", "a", "b", "--match-on", "loss", "--where", "train.steps == 200", home="home")
    check(told["compared"] == "flops" and told["unit"] == "FLOP" and told["matched_unit"] == "nats/token", told)
    check(told["difference"] == "ln(b / a)" and len(told["pairs"]) == 4, told)
    check(told["mean"] > 0.1 and abs(math.exp(told["mean"]) - 1.21) < 0.08, "1.1 squared, but for noise", told["mean"])
    tokens = document("compare", "a", "b", "--match-on", "loss", "--measure", "tokens", "--where", "train.steps == 200",
                      home="home")
    near(tokens["mean"], told["mean"], 1e-9, "flops go with tokens")
    out = run("compare", "a", "b", "--match-on", "loss", home="home", code=0).out
    check("B needs +" in out and "A's flops" in out and "nothing extrapolated" in out, out)


@case
def ladders_are_never_extrapolated():
    trained("ladder-a", 0.01, seeds="[1]", steps="[100, 200, 400]", widths="[16, 32]")
    trained("ladder-b", 0.02, seeds="[1]", steps="[60, 140, 260, 800]", widths="[16, 32]")
    told = document("compare", "ladder-a", "ladder-b", "--match-on", "tokens", "--match-along", "ladders", home="home")
    check([pair["at"] / 256 for pair in told["pairs"]] == [140, 260] and told["outside"] == 2, told["pairs"], told["outside"])
    check(all(pair["a"] is None for pair in told["pairs"]) and told["units"] == 1 and told["p"] is None, told)
    a = {row["train.steps"]: row["loss"] for row in runs("ladder-a") if row["model.width"] == 16}
    share = (math.log(140) - math.log(100)) / (math.log(200) - math.log(100))
    lowest = {steps: min(row["loss"] for row in runs("ladder-a") if row["train.steps"] == steps) for steps in a}
    near(told["pairs"][0]["value_a"], lowest[100] + share * (lowest[200] - lowest[100]), 1e-9, "linear in ln x")
    far = run("compare", "ladder-a", "ladder-b", "--where", "train.steps < 300", "--where", "train.steps > 500",
              "--match-on", "tokens", "--match-along", "ladders", home="home", code=2)
    check("would be extrapolations" in far.err, far)


@case
def draws_one_figure():
    done = run("compare", "a", "b", "--match-on", "flops", "--figure", path_of("figures"), home="home")
    if "gnuplot" in done.err and done.code == 3:
        return "no gnuplot"
    with open(path_of("figures", "compare.svg"), encoding="utf-8") as file:
        text = file.read()
    check(done.code == 0 and "<svg" in text and "matched training compute (FLOP)" in text and "(nats/token)" in text, done)


def comparing_spec(name, entries, lr="0.01"):
    path = spec(name, lr).replace(".yaml", "-c.yaml")
    with open(spec(name, lr), encoding="utf-8") as file:
        text = file.read().replace("seed: [1, 2, 3, 4]}", "seed: [1, 2, 3, 4], train.lr: [0.01, 0.02]}")
    return write(os.path.basename(path), text + "comparisons:\n" + entries)


@case
def a_spec_lists_its_comparisons():
    entries = """  - {name: at the ends, a: "train.lr == 0.01", b: "train.lr == 0.02"}
  - {name: compute, a: "train.lr == 0.01", b: "train.lr == 0.02", where: "train.steps == 200", match_on: loss}
  - {a: "train.lr == 0.01", b: "train.lr == 0.02", match_on: flops, match_along: curves}
"""
    path = comparing_spec("listed", entries)
    run("run", path, "--quiet", home="home", code=0)
    told = document("compare", path, home="home")["comparisons"]
    check([one["name"] for one in told] == ["at the ends", "compute", "train.lr == 0.01 | train.lr == 0.02"], told)
    for one, arguments in zip(told, [[], ["--match-on", "loss", "--where", "train.steps == 200"], ["--match-on", "flops"]]):
        where = " and train.steps == 200" if "--where" in arguments else ""
        options = [a for a in arguments if a not in ("--where", "train.steps == 200")]
        by_hand = document("compare", "listed", "--where", "train.lr == 0.01" + where, "--where", "train.lr == 0.02" + where,
                           *options, home="home")
        for key in ("mean", "low", "high", "p", "match_on", "compared", "pairs", "different"):
            check(one["comparison"][key] == by_hand[key], one["name"], key, one["comparison"][key], by_hand[key])
    check(document("compare", "listed", home="home")["comparisons"] == told, "by the experiment's name")
    out = run("compare", path, home="home", code=0).out
    check(all(f"== {one['name']} ==\n" in out for one in told) and "B needs +" in out and "B - A: " in out, out)


@case
def a_report_has_them_with_a_figure_each():
    path = path_of("listed-c.yaml")
    done = run("report", path, "--json", "-o", path_of("listed.html"), home="home")
    if "gnuplot" in done.err:
        return "no gnuplot"
    told = json.loads(done.out)
    check(done.code == 0 and told["comparisons"] == document("compare", path, home="home")["comparisons"], done.err)
    figures = [figure for figure in told["figures"] if figure["name"] == "compare"]
    check(len(figures) == 3 and all(figure["drawn"] for figure in figures) and "compute" in figures[1]["title"], figures)
    with open(told["path"], encoding="utf-8") as file:
        page = file.read()
    mean = told["comparisons"][0]["comparison"]["mean"]
    check("<h2>Comparisons</h2>" in page and f"B - A: {mean:+.4f} nats/token, mean over 8 pairs" in page, page[:2000])
    check("matched flops" in page and "matched training compute (FLOP)" in page and "B needs +" in page, "matched ones")
    done = run("compare", path, "--figure", path_of("listed-figures"), home="home", code=0)
    check(set(os.listdir(path_of("listed-figures"))) == {"compare-at-the-ends.svg", "compare-compute.svg",
                                                        "compare-train.lr----0.01---train.lr----0.02.svg"},
          os.listdir(path_of("listed-figures")))


@case
def what_hinders_one_leaves_the_others():
    entries = """  - {name: nothing there, a: "train.lr == 0.01", b: "train.lr == 0.3"}
  - {name: something, a: "train.lr == 0.01", b: "train.lr == 0.02"}
"""
    path = comparing_spec("listed", entries)
    done = run("compare", path, home="home", code=2)
    check("cannot be compared: B, " in done.out and "B - A: " in done.out and "nothing there" in done.err, done)
    done = run("compare", path, "--json", home="home")
    told = json.loads(done.out)["comparisons"]
    check(done.code == 2 and told[0]["comparison"] is None and "no runs" in told[0]["trouble"] and
          told[1]["comparison"]["units"] == 8, told)
    report = run("report", path, home="home")
    if "gnuplot" in report.err:
        return "no gnuplot"
    with open(report.out.strip(), encoding="utf-8") as file:
        check("Cannot be compared: B, " in file.read(), "the report says so")


@case
def mistakes_in_comparisons_are_told():
    for entry, said in [("{a: \"train.lr == 0.01\"}", "a comparison needs b"),
                        ("{a: \"lr == 0.01\", b: x}", "did you mean train.lr?"),
                        ("{a: seed == 1, b: seed == 2, match_on: los}", "did you mean 'loss'"),
                        ("{a: seed == 1, b: seed == 2, measure: flops}", "measure says nothing without match_on"),
                        ("{a: seed == 1, b: seed == 2, match_on: flops, measure: flops}", "at matched loss"),
                        ("{a: seed == 1, b: seed == 2, ignore: [train.rl]}", "did you mean 'train.lr'"),
                        ("{a: seed == 1, b: seed == 2, matched: flops}", "match_on"),
                        ("[1, 2]", "a comparison must be a mapping")]:
        done = run("check", comparing_spec("wrong", "  - " + entry + "\n"), code=2)
        check(said in done.err and ":10:" in done.err, entry, done)
    twice = "  - {name: x, a: seed == 1, b: seed == 2}\n" * 2
    check("two comparisons are called 'x'" in run("check", comparing_spec("wrong", twice), code=2).err, "names")
    check("has no comparisons" in run("compare", spec("a", 0.01), home="home", code=2).err, "none")
    path = comparing_spec("listed", "  - {a: train.lr == 0.01, b: train.lr == 0.02}\n")
    check("the spec says how" in run("compare", path, "--match-on", "loss", home="home", code=2).err, "no options beside it")


def claiming_spec(entries):
    path = comparing_spec("listed", "  - {a: train.lr == 0.01, b: train.lr == 0.02, match_on: flops}\n")
    with open(path, encoding="utf-8") as file:
        return write("claims.yaml", file.read() + "claims:\n" + entries)


LOW, HIGH = 'loss["train.lr == 0.01"]', 'loss["train.lr == 0.02"]'


@case
def claims_are_judged_at_equal_loss_or_compute():
    flops_low, flops_high = LOW.replace("loss", "flops"), HIGH.replace("loss", "flops")
    path = claiming_spec(f"""  - {{claim: '{LOW} < {HIGH}', match_on: flops}}
  - {{claim: '{LOW} > {HIGH}', match_on: flops}}
  - {{claim: '{HIGH} > {LOW}', match_on: tokens, where: seed < 5}}
  - {{claim: '{flops_low} < {flops_high}', match_on: loss}}
  - {{claim: '{flops_low} < {flops_high}', match_on: loss, where: train.steps == 200}}
  - {{claim: '{LOW} < {HIGH}', match_on: flops, where: train.steps == 7}}
  - '{LOW} < {HIGH}'
""")
    run("run", path, "--quiet", home="home", code=0)
    run("fit", path, home="home")
    told = document("report", path, "-o", path_of("claims.html"), home="home")["claims"]
    pairs = document("compare", path, home="home")["comparisons"][0]["comparison"]
    check([claim["outcome"] for claim in told[:6]] == ["held", "not held", "held", "held", "undecided", "undecided"], told)
    check(told[0]["claim"] == f"{LOW} < {HIGH} at matched flops" and told[6]["claim"] == f"{LOW} < {HIGH}", told)
    check(told[2]["claim"].endswith("at matched tokens, where seed < 5"), told[2])
    check(f"right less left: {pairs['mean']:+.4f} nats/token, mean over {pairs['units']} pairs" in told[0]["detail"]
          and f"p = {pairs['p']:.2g}, two-sided, by exact sign-flip permutation" in told[0]["detail"], told[0], pairs["p"])
    check("of the left's flops, mean over 8 pairs" in told[3]["detail"] and "the right needs +" in told[3]["detail"], told[3])
    check("mean over 4 pairs" in told[4]["detail"] and "cannot tell: 4 units" in told[4]["detail"], told[4])
    check("no runs" in told[5]["detail"], told[5])
    out = run("fit", path, home="home").out
    check(f"claim {LOW} > {HIGH} at matched flops: not held (right less left: +" in out, out)


@case
def mistakes_in_matched_claims_are_told():
    for entry, said in [(f"{{claim: '{LOW} < {HIGH}'}}", "a claim that is a mapping needs match_on"),
                        ("{match_on: loss}", "a claim that is a mapping needs claim"),
                        (f"{{claim: '{LOW} < {HIGH}', match_on: los}}", "did you mean 'loss'"),
                        (f"{{claim: '{LOW} < {HIGH}', match_on: loss}}", "at matched loss flops, tokens or train_seconds are compared"),
                        (f"{{claim: '{LOW} < {HIGH}', match_on: flops, measure: flops}}", "measure"),
                        (f"{{claim: '{LOW.replace('loss', 'bits_per_byte')} < {HIGH.replace('loss', 'bits_per_byte')}', match_on: flops}}",
                         "at matched flops losses are compared"),
                        (f"{{claim: '{LOW} - {HIGH} < 0', match_on: flops}}", "COLUMN[A] < COLUMN[B]"),
                        (f"{{claim: '{LOW} == {HIGH}', match_on: flops}}", "COLUMN[A] < COLUMN[B]"),
                        (f"{{claim: '{LOW} < flops[\"seed == 1\"]', match_on: flops}}", "COLUMN[A] < COLUMN[B]"),
                        ("{claim: 'loss[\"train.rl == 1\"] < loss[\"train.lr == 1\"]', match_on: flops}", "train.lr"),
                        (f"{{claim: '{LOW} < {HIGH}', match_on: flops, where: lss > 1}}", "did you mean loss"),
                        (f"{{claim: '{LOW} < {HIGH}', match_on: flops, ignore: [train.rl]}}", "did you mean 'train.lr'")]:
        done = run("check", claiming_spec(f"  - {entry}\n"), code=2)
        check(said in done.err and ":12:" in done.err, entry, done)


@case
def bad_calls_are_told():
    for arguments, said in [(["a", "bb"], "no experiment 'bb'"), (["a"], "has no comparisons; give two experiments"), ([], "give two"),
                            (["a", "b", "--match-on", "los"], "did you mean 'loss'"),
                            (["a", "b", "--measure", "flops"], "need --match-on"),
                            (["a", "b", "--match-on", "flops", "--measure", "flops"], "at matched loss"),
                            (["a", "b", "--ignore", "train.rl"], "did you mean 'train.lr'"),
                            (["a", "b", "--where", "lss < 1"], "did you mean 'loss'"),
                            (["a", "b", "--where", "seed > 100"], "no runs")]:
        done = run("compare", *arguments, home="home", code=2)
        check(said in done.err and not done.out, arguments, done)


@case
def curves_that_coincide_are_the_same():
    """No interval of no width: where nothing differs the two are the same, and that is said."""
    for name, decay in ("twin-a", 0.1), ("twin-b", 0.2):
        path = spec(name, f"0.01, weight_decay: {decay}", steps="[100]", seeds="[1, 2, 3, 4, 5, 6, 7]")
        run("run", path, "--quiet", home="home", code=0)
    for more in (), ("--match-on", "tokens"), ("--match-on", "loss"):
        told = document("compare", "twin-a", "twin-b", *more, home="home")
        check(told["units"] == 7 and told["mean"] == 0 and told["low"] is None and told["high"] is None and told["p"] == 1 and
              "the same" in told["alike"], more, told)
        out = run("compare", "twin-a", "twin-b", *more, home="home", code=0).out
        check("the two are the same there, so there is no interval" in out and "95 % interval" not in out, out)
    told = document("compare", "a", "b", home="home")
    check("alike" not in told and told["low"] < told["high"], told)


harness.finish()
