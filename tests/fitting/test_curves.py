#!/usr/bin/env python3
"""Tests of fits and predictions of loss curves on the command line: test_curves.py ISOLOSS. Prints TAP."""
import csv
import io
import json
import math
import os
import random
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, path_of, run, write  # noqa: E402

TRUTH = {'L0': 2.6, 'A': 0.6, 'alpha': 0.45, 'c': 0.3}
KNOTS = {'cosine': [(0, 0), (100, 1e-3), (2000, 1e-4, True)],
         'constant': [(0, 0), (100, 1e-3), (2000, 1e-3)],
         'short': [(0, 0), (100, 5e-4), (1500, 5e-5, True)],
         'half': [(0, 0), (100, 5e-4), (1800, 5e-4)],
         'wsd': [(0, 0), (100, 1e-3), (1500, 1e-3), (2000, 0)]}


def text_of(knots):
    return ','.join('%d:%g%s' % (knot[0], knot[1], ':cosine' if len(knot) > 2 else '') for knot in knots)


def rate_at(knots, step):
    for before, after in zip(knots, knots[1:]):
        if before[0] < step <= after[0]:
            share = (step - before[0]) / (after[0] - before[0])
            if len(after) > 2:
                return after[1] + (before[1] - after[1]) * (1 + math.cos(math.pi * share)) / 2
            return before[1] + (after[1] - before[1]) * share
    return knots[0][1]


def curve(knots):
    """Losses of the annealing law, step by step as its paper writes the sums."""
    area = annealed = momentum = 0
    losses = [None]
    for step in range(1, knots[-1][0] + 1):
        rate = rate_at(knots, step)
        momentum *= 1 - 1e-3
        if step > 100:
            momentum += rate_at(knots, step - 1) - rate
        annealed += momentum
        area += rate
        losses.append(TRUTH['L0'] + TRUTH['A'] * area ** -TRUTH['alpha'] - TRUTH['c'] * annealed)
    return losses


def write_tables():
    random.seed(7)
    texts, logged, points, rates = [['run', 'step', 'loss', 'schedule']], [['run', 'step', 'lr', 'loss']], \
        [['run', 'step', 'loss']], [['run', 'step', 'lr']]
    for name, knots in KNOTS.items():
        losses = curve(knots)
        for step in range(5, knots[-1][0] + 1, 5):
            loss = losses[step] * math.exp(random.gauss(0, 3e-4))
            logged.append([name, step, rate_at(knots, step), loss])
            if step < 120:
                continue
            texts.append([name, step, loss, text_of(knots)])
            points.append([name, step, loss])
        for step in range(1, knots[-1][0] + 1):
            rates.append([name, step, rate_at(knots, step)])
    for name, rows in (('texts', texts), ('logged', logged), ('points', points), ('rates', rates)):
        out = io.StringIO()
        csv.writer(out, lineterminator='\n').writerows(rows)
        write(name + '.csv', out.getvalue())


write_tables()


def fitted(table, *options):
    code, out, err = run('fit', path_of(table), '--law', 'annealing', '--bootstrap', '50', '--json', *options)
    check(code == 0, '%s: %d %s' % (table, code, err))
    return json.loads(out)[0]


@case
def schedules_of_every_kind():
    for table, options in (('texts.csv', ()), ('points.csv', ('--schedules', path_of('rates.csv')))):
        fit = fitted(table, '--holdout', 'run == "wsd"', *options)
        check(fit['rows'] == 400 and fit['grouped_by'] == 'run', '%s: %r' % (table, fit['rows']))
        check(fit['holdout_error'] < 6e-4, '%s: held out %r' % (table, fit['holdout_error']))
        for name, value in TRUTH.items():
            got = fit['parameters'][name]['value']
            check(abs(got / value - 1) < 0.03, '%s: %s is %g, made with %g' % (table, name, got, value))
        said = ' '.join(fit['warnings'])
        check('at most 100 of each of the 5 runs' in said and 'every step by itself' in said and 'left out by' in said,
              'what was made smaller is said: %s' % said)
    fit = fitted('logged.csv', '--where', 'run != "wsd" and step >= 120', '--curve-points', '50')
    late = fitted('logged.csv', '--where', 'run != "wsd" and step >= 120', '--map', 'lr=(step < 50 ? 0 / 0 : lr)')
    check('up to step 50' in ' '.join(late['warnings']), 'rates that were not logged: %r' % late['warnings'])
    check(fit['rows'] == 200, 'points: %r' % fit['rows'])
    check('made of the learning rates in' in ' '.join(fit['warnings']), 'logged rates are said')
    check(abs(fit['parameters']['L0']['value'] / TRUTH['L0'] - 1) < 0.03, 'of logged rates: %r' % fit['parameters'])


@case
def made_again_and_exported():
    document = fitted('points.csv', '--schedules', path_of('rates.csv'))
    write('fit.json', json.dumps([document]))
    code, out, err = run('fit', '--again', path_of('fit.json'))
    check(code == 0 and json.loads(out)[0]['parameters'] == document['parameters'], 'again: %d %s' % (code, err))
    write('rates.csv', open(path_of('rates.csv')).read().replace('wsd,1,', 'wsd,2,'))
    code, out, err = run('fit', '--again', path_of('fit.json'))
    check(code == 3 and 'rates.csv has changed' in err, 'other schedules: %d %s' % (code, err))
    write_tables()
    code, out, err = run('fit', path_of('texts.csv'), '--law', 'annealing', '--bootstrap', '0', '--export', 'latex')
    check(code == 0 and '\\sum_{k \\leq' in out and '\\mathrm{drop}_{k}' in out, 'latex: %s %s' % (out[:400], err))


@case
def a_curve_before_it_is_trained():
    wanted = curve(KNOTS['wsd'])
    code, out, err = run('predict', path_of('texts.csv'), '--law', 'annealing', '--where', 'run != "wsd"',
                         '--bootstrap', '50', '--schedule', text_of(KNOTS['wsd']), '--csv')
    check(code == 0, err)
    rows = list(csv.DictReader(io.StringIO(out)))
    check(len(rows) == 20 and rows[-1]['step'] == '2000', 'rows: %r' % rows[-1:])
    for row in rows:
        loss = wanted[int(row['step'])]
        check(abs(float(row['loss']) / loss - 1) < 1e-3, 'step %s: %s, not %g' % (row['step'], row['loss'], loss))
        check(float(row['run_low']) <= float(row['low']) <= float(row['high']) <= float(row['run_high']), repr(row))
        early = 120 / int(row['step']) if int(row['step']) < 120 else 1
        check(abs(float(row['outside']) - early) < 1e-9, 'times outside the fitted range: %r' % row)
    code, out, err = run('predict', path_of('texts.csv'), '--law', 'annealing', '--bootstrap', '50', '--schedule',
                         '0:0,100:3e-3,4000:3e-3', '--json')
    last = json.loads(out)['points'][-1]
    check(abs(last['outside']['step'] - 2) < 1e-9 and abs(last['outside']['schedule.peak'] - 3) < 1e-9,
          'outside: %r' % last['outside'])


@case
def the_best_schedule():
    fixes = [word for name, value in TRUTH.items() for word in ('--fix', '%s=%g' % (name, value))]
    code, out, err = run('predict', '--law', 'annealing', *fixes, '--best-schedule', '2000:1e-3:100', '--json')
    check(code == 0, err)
    best = json.loads(out)['best_schedule']
    check(all(best['final'] <= loss + 1e-9 for loss in best['plain'].values()), 'no plain shape is lower: %r' % best)
    knots = [tuple(float(part) for part in knot.split(':')) for knot in best['schedule'].split(',')]
    check(knots[-1][0] == 2000 and all(a[1] >= b[1] for a, b in zip(knots[1:], knots[2:])), 'falls: %r' % knots)
    steps = [(int(step), rate) for step, rate in knots]
    final = curve(steps)[-1]
    check(abs(final / best['final'] - 1) < 1e-3, 'its loss step by step: %g, not %g' % (final, best['final']))
    check('nowhere rise' in best['searched'], best['searched'])


@case
def mistakes():
    bad = open(path_of('texts.csv')).read().replace('2000:0"', '2000:x"')
    write('bad.csv', bad)
    short = open(path_of('texts.csv')).read().replace(',1500:0.001,2000:0"', ',1500:0.001"')
    write('short.csv', short)
    for arguments, words in (
            (('fit', path_of('bad.csv'), '--law', 'annealing'), 'expected a learning rate here'),
            (('fit', path_of('short.csv'), '--law', 'annealing'), 'beyond the schedule, which has 1500 steps'),
            (('fit', path_of('points.csv'), '--law', 'annealing'), '--schedules FILE'),
            (('fit', path_of('points.csv'), '--law', 'annealing', '--schedules', path_of('points.csv')), 'run and schedule'),
            (('fit', path_of('texts.csv'), '--law', 'annealing', '--curve-points', '1'), '--curve-points takes 2 or more'),
            (('fit', path_of('texts.csv'), '--law', 'chinchilla', '--curve-points', '5'), 'chinchilla has none'),
            (('fit', path_of('texts.csv'), '--law', 'annealing', '--export', 'c'), 'cannot be exported'),
            (('predict', path_of('texts.csv'), '--law', 'annealing', '--schedule', '0:0,5'), 'STEP:RATE'),
            (('predict', path_of('texts.csv'), '--law', 'annealing', '--best-schedule', '100'), 'STEPS:PEAK'),
            (('predict', path_of('texts.csv'), '--law', 'annealing', '--at', 'step=5', '--csv'), '--csv is for'),
            (('predict', '--law', 'power-law', '--fix', 'E=1', '--fix', 'K=1', '--fix', 'gamma=1', '--schedule',
              '0:1,5:1'), 'power-law has none')):
        code, out, err = run(*arguments, *(['--bootstrap', '0'] if arguments[0] == 'fit' else []))
        check(code == 2 and words in err and out == '', '%r: %d %s' % (arguments[1:], code, err))


SPEC = '''experiment: curves
corpus: {source: gcide, tokenizer: bytes}
base:
  model: {layers: 1, width: 32, context: 32}
  train: {batch_tokens: 256, steps: 60, evals: 12, warmup_steps: 5, log_steps: 2}
sweep:
  - grid: {train.schedule: [constant, cosine, linear, wsd], train.lr: [3e-3, 6e-3]}
'''


@case
def curves_of_runs():
    write('curves.yaml', SPEC)
    code, out, err = run('run', path_of('curves.yaml'))
    check(code == 0, 'run: %d %s %s' % (code, out[-500:], err))
    code, out, err = run('fit', path_of('curves.yaml'), '--curves', 'train', '--law', 'annealing', '--bootstrap', '20',
                         '--json')
    check(code == 0, 'fit: %d %s' % (code, err))
    fit = json.loads(out)[0]
    check(fit['grouped_by'] in ('run', 'id') and fit['rows'] > 80, '%r rows by %r' % (fit['rows'], fit['grouped_by']))
    check('made of the learning rates in the log of training' in ' '.join(fit['warnings']), repr(fit['warnings']))
    code, out, err = run('fit', path_of('curves.yaml'), '--curves', 'eval', '--law', 'annealing', '--bootstrap', '0',
                         '--where', 'train.lr < 5e-3', '--json')
    check(code == 0 and 20 < json.loads(out)[0]['rows'] < fit['rows'], 'evaluations: %d %s' % (code, err))
    code, out, err = run('predict', path_of('curves.yaml'), '--curves', 'train', '--law', 'annealing', '--bootstrap', '20',
                         '--schedule', '0:0,5:3e-3,40:3e-3,60:0', '--csv')
    rows = list(csv.DictReader(io.StringIO(out)))
    check(code == 0 and rows and 0 < float(rows[-1]['loss']) < 10, 'predicted: %d %s' % (code, err))
    code, out, err = run('fit', path_of('curves.yaml'), '--law', 'annealing')
    check(code == 2 and '--curves' in err, 'without --curves: %d %s' % (code, err))


harness.finish()
