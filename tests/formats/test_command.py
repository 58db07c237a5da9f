"""isoloss formats and isoloss capacity from the outside, and the record of a pruned training. TAP output.
Arguments: isoloss, isoloss-train's folder is found by isoloss itself."""
import csv
import io
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, near  # noqa: E402


def run(*arguments):
    return harness.run(*arguments, code=0)


@case
def capacity_in_json():
    rows = json.loads(run('capacity', 'int4', 'w4a8', '2:4+int4', 'none', '--json').out)
    check([r['format'] for r in rows] == ['int4', 'w4a8', '2:4+int4', 'none'], 'formats as they were asked for')
    check(rows[0]['canonical'] == 'w4', 'canonical name')
    near(rows[0]['gmse'], 0.011542884431, 1e-9, 'int4')
    check(rows[0]['standard_error'] == 0 and rows[0]['bits_per_weight'] == 4, 'closed form')
    near(rows[0]['effective_bits'], 3.2184262, 1e-7, 'effective bits')
    check(rows[1]['gmse'] is None, 'several operands have no single error')
    near(rows[1]['gmse_weights'], 0.011542884431, 1e-9, 'weights')
    near(rows[1]['gmse_activations'], 8.7686185784e-5, 1e-9, 'activations')
    check('gmse_gradients' not in rows[1], 'gradients are not represented')
    near(rows[2]['gmse'], 0.13930813, 1e-6, '2:4+int4')
    check(rows[2]['bits_per_weight'] == 3, 'bits of 2:4+int4')
    check(rows[3]['gmse'] == 0, 'none')


@case
def measured():
    rows = json.loads(run('capacity', 'mxfp4', '--samples', '4000000', '--seed', '3', '--json').out)
    near(rows[0]['gmse'], 1.335e-2, 0.005, 'mxfp4')
    check(0 < rows[0]['standard_error'] < 1e-4, 'standard error')
    check(rows[0]['octave_low'] < rows[0]['gmse'] < rows[0]['octave_high'], 'octave')
    again = json.loads(run('capacity', 'mxfp4', '-n', '4000000', '--seed', '3', '--threads', '1', '--json').out)
    check(again == rows, 'the same on any number of threads')


@case
def csv_and_table():
    rows = list(csv.DictReader(io.StringIO(run('capacity', 'w4a4', 'nvfp4', '--csv', '-n', '2e6').out)))
    check([(r['format'], r['operand']) for r in rows] ==
          [('w4a4', 'weights'), ('w4a4', 'activations'), ('nvfp4', 'weights')], 'one line an operand')
    near(float(rows[2]['gmse']), 9.045e-3, 0.006, 'nvfp4')
    check('exact' in run('capacity', 'int2').out, 'table')


@case
def own_grid_and_plot():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'grid')
        with open(path, 'w') as out:
            out.write('-1.5 -0.5 0.5 1.5\n')
        rows = json.loads(run('capacity', '--grid', path, '--json', '--plot', folder).out)
        near(rows[0]['gmse'], 0.11884605038, 1e-9, 'own grid')
        check(rows[0]['canonical'] == 'levels(-1.5 -0.5 0.5 1.5)', 'identity of a grid')
        with open(os.path.join(folder, 'capacity.svg')) as figure:
            check('<svg' in figure.read(), 'figure')


@case
def lists_and_explains():
    text = run('formats').out
    for name in ('int4', 'mxfp4', 'quartet', 'halo2-int8', 'fp8-mixed', 'vq4-256'):
        check(name in text, 'formats lists %s' % name)
    text = run('formats', 'quartet').out
    check('2505.14669' in text and 'random' in text, 'source and operands of quartet')
    rows = json.loads(run('formats', '--json').out)
    check(all(r['format'] and r['in_full'] and r['bits_per_weight'] for r in rows) and len(rows) > 30, 'list in JSON')


@case
def mistakes():
    for arguments, words in ((['capacity', 'mxpf4'], "did you mean 'mxfp4'"), (['capacity', 'w0'], '0 bits'),
                             (['formats', '4:2'], 'N is at most M'), (['capacity', 'grid(/none)'], '/none'),
                             (['capacity', 'int4', '--distribution', 'cauchy'], 'laplace'),
                             (['capacity', 'int4', '--json', '--csv'], 'exclude')):
        code, out, err = harness.run(*arguments)
        check(code in (2, 3) and words in err and harness.no_result(out, arguments), '%s: %d %s' % (arguments, code, err))


@case
def pruned_training():
    # The mean densities of the published schedules, from the log of real trainings.
    wanted = {0.2: .8926, 0.4: .7662, 0.6: .6103, 0.8: .3991}
    with tempfile.TemporaryDirectory() as folder:
        spec = os.path.join(folder, 'journey.yaml')
        formats = ', '.join('"sparse(%g,journey,every(1))"' % amount for amount in wanted)
        with open(spec, 'w') as out:
            out.write('corpus: {source: markov2}\nbase:\n  model: {layers: 1, width: 32, context: 32, dtype: float32}\n'
                      '  train: {batch_tokens: 128, steps: 300, evals: 0, log_steps: 1, final_eval_tokens: 4096}\n'
                      'sweep:\n  - grid: {format: [%s]}\n' % formats)
        harness.run('run', spec, code=0, home=os.path.join(folder, 'home'))
        seen = {}
        for parent, _, names in os.walk(folder):
            if 'events.jsonl' not in names:
                continue
            with open(os.path.join(parent, 'config.json')) as file:
                amount = float(json.load(file)['config']['format'].split('(')[1].split(',')[0])
            with open(os.path.join(parent, 'events.jsonl')) as file:
                events = [json.loads(line) for line in file]
            start, done = events[0]['parameters'], [e for e in events if e['event'] == 'done'][0]
            active = [e['active_parameters'] for e in events if e['event'] == 'step']
            check(len(active) == 300, '%d step events' % len(active))
            fixed, prunable = start['non_embedding'] - start['prunable'], start['prunable']
            seen[amount] = (sum(active) / len(active) - fixed) / prunable
            near(done['parameters_active_average'], sum(active) / len(active), 1e-9, 'the mean of the steps')
            near(done['parameters_active'], active[-1], 1e-9, 'the last step')
            near(active[-1] - fixed, (1 - amount) * prunable, 1e-9, 'the end')
            check(all(a >= b for a, b in zip(active, active[1:])), 'active parameters only fall')
        for amount, density in wanted.items():
            got = seen.get(amount, 0)
            check(abs(got - density) < 0.003, 'mean density at %g: %.4f, want %.4f' % (amount, got, density))


harness.finish()
