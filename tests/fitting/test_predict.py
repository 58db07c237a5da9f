#!/usr/bin/env python3
"""Tests of `isoloss predict`, `fit compare`, `import` and `fit --export`: test_predict.py ISOLOSS EXPORT_CASES
SOURCE_FOLDER. Prints TAP."""
import json
import math
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from harness import case, check, path_of, run, write  # noqa: E402

export_cases, source = sys.argv[2:4]
quartet = os.path.join(source, 'tests/data/tables/quartet_fp4/runs.csv')
dense = 'forward == "BF16" and backward == "BF16"'


def document(*arguments):
    code, out, err = run(*arguments, '--json')
    check(code == 0 and err == '', '%r: %d %s' % (arguments, code, err))
    return json.loads(out) if out else None


def near(value, wanted, relative):
    return abs(value / wanted - 1) <= relative


@case
def published_optima():
    """Epoch's and Hoffmann's unrounded coefficients, by --fix, without any table."""
    def fix(e, a, b, alpha, beta):
        pairs = (('E', math.exp(e)), ('A', math.exp(a)), ('B', math.exp(b)), ('alpha', alpha), ('beta', beta))
        return [word for name, value in pairs for word in ('--fix', '%s=%r' % (name, value))]

    epoch = fix(0.59711196, 6.17795598, 7.64273236, 0.34781303, 0.36585412)
    hoffmann = fix(0.5267228, 6.0073404, 6.0179186, 0.33917084, 0.2849083)
    for fixes, budget, n, ratio, loss in ((epoch, '1e21', 2.782e9, 21.53, 2.3048),
                                          (epoch, '5.76e23', 7.236e10, 18.34, 1.9740),
                                          (hoffmann, '1e21', 2.217e9, 33.91, None),
                                          (hoffmann, '5.76e23', 4.036e10, 58.93, 1.9184)):
        made = document('predict', '--law', 'chinchilla', *fixes, '--budget', budget)['allocations'][0]
        check(near(made['parameters']['value'], n, 3e-4), 'N at %s: %r' % (budget, made))
        check(near(made['tokens_per_parameter']['value'], ratio, 5e-4), 'D/N at %s: %r' % (budget, made))
        check(loss is None or abs(made['loss']['value'] - loss) < 6e-5, 'loss at %s: %r' % (budget, made))
        check(made['parameters']['low'] is None, 'no interval without resamples')
    answer = document('predict', '--law', 'effective-parameters', *epoch, '--fix', 'eff[w4a4]=0.747', '--at',
                      'N=1e9|2e9,D=2e10,format=none|w4a4')
    losses = [point['loss']['value'] for point in answer['points']]
    check(len(losses) == 4 and losses[1] > losses[0] > losses[2], 'the factor of a format given by --fix: %r' % losses)


@case
def points_and_budgets():
    question = ('predict', quartet, '--law', 'distillation', '--where', dense, '--at', 'N=3e7..3e9:3log,D=1e10',
                '--budget', 'C=1e19..1e20:2log', '--bootstrap', '100', '--starts', '300', '--overtraining')
    answer = document(*question)
    points, optima = answer['points'], answer['allocations']
    check(answer['rows'] == 24 and len(points) == 3 and len(optima) == 2, 'counts')
    for point in points:
        check(point['loss']['low'] < point['loss']['value'] < point['loss']['high'], 'interval: %r' % point)
        check(point['run']['low'] < point['loss']['low'] and point['run']['high'] > point['loss']['high'], 'of a run')
        check(point['overtraining']['cost_ratio']['value'] >= 1 - 1e-9, 'cost: %r' % point)
    outside = points[2]['extrapolation']['parameters']
    check(outside['side'] == 'above' and near(outside['factor'], 3e9 / answer['fitted_range']['parameters'][1], 1e-12),
          'extrapolation: %r' % outside)
    check(points[1]['extrapolation'] == {}, 'inside')
    p = {name: value for name, value in answer['parameters'].items()}
    g = (p['alpha'] * p['A'] / (p['beta'] * p['B'])) ** (1 / (p['alpha'] + p['beta']))
    for made, flops in zip(optima, (1e19, 1e20)):
        n = g * (flops / 6) ** (p['beta'] / (p['alpha'] + p['beta']))
        check(near(made['parameters']['value'], n, 1e-6), 'the closed form: %r %r' % (made, n))
        check(made['parameters']['low'] < n < made['parameters']['high'], 'its interval')
    again = document(*question, '--threads', '1')
    check(again == answer, 'the same with one thread')
    table = write('points.csv', 'run_id,N,D\nbig,1e9,1e11\nsmall,1e8,1e10\n')
    code, out, err = run('predict', quartet, '--law', 'distillation', '--where', dense, '--table', table,
                         '--bootstrap', '50')
    check(code == 0 and 'big: ' in out and 'small: ' in out and 'N = 1e+09 lies 1.2 times outside the fitted range' in out,
          out + err)
    # counted costs: a column of FLOPs that is not 6ND
    rows = ['N,D,flops,loss']
    for i in range(5):
        for j in range(5):
            n, d = 1e6 * 3 ** i, 1e8 * 3 ** j
            rows.append('%r,%r,%r,%r' % (n, d, 9 * n * d, 1.7 + 400 / n ** 0.34 + 900 / d ** 0.3))
    table = write('counted.csv', '\n'.join(rows) + '\n')
    counted = document('predict', table, '--budget', '1e17', '--bootstrap', '0')
    plain = document('predict', table, '--budget', '1e17', '--bootstrap', '0', '--cost', '6nd')
    check(counted['cost'] == 'counted' and plain['cost'] == '6nd', 'the cost is told')
    first, second = counted['allocations'][0], plain['allocations'][0]
    check(near(first['parameters']['value'] * first['tokens']['value'], 1e17 / 9, 1e-9), 'C = 9 N D')
    check(near(second['parameters']['value'] * second['tokens']['value'], 1e17 / 6, 1e-9), 'C = 6 N D')


def compressed_table(name, eff, noise=0.002):
    """Rows of the effective-parameters law; noise without a random generator's whims."""
    rows, k = ['N,D,format,loss'], 0
    for i in range(4):
        for j in range(4):
            for form, worth in eff:
                n, d = 1e6 * 4 ** i, 2e7 * 4 ** j
                k += 1
                loss = 1.7 + 400 / (n * worth) ** 0.34 + 900 / d ** 0.3
                rows.append('%r,%r,%s,%r' % (n, d, form, loss * math.exp(noise * math.sin(12.9898 * k * k))))
    return write(name, '\n'.join(rows) + '\n')


@case
def formats():
    table = compressed_table('formats.csv', (('none', 1), ('w4a4', 0.75), ('w4', 0.92), ('w2a2', 0.3)))
    law = ('predict', table, '--law', 'effective-parameters', '--bootstrap', '100', '--starts', '200')
    # 0.75 / 4 bits is more than 1 / 16 or 0.3 / 2 bits; w4 with as many bits is worth more than w4a4
    contest = document(*law, '--memory', '1e7', '--at', 'D=1e9')['formats'][0]
    check(contest['best'] == 'w4' and contest['decided'], 'within a memory: %r' % contest)
    sizes = {one['format']: one for one in contest['candidates']}
    check(near(sizes['w4']['parameters']['value'], 8e7 / sizes['w4']['bits_per_weight'], 1e-12), 'N within the memory')
    check(sizes['none']['bits_per_weight'] == 16 and sizes['w4a4']['bits_per_weight'] == 4, 'bits of a weight')
    check(all(one['behind']['value'] >= 0 for one in contest['candidates']), 'behind the best')
    check(sizes['none']['behind']['low'] > 0 and sizes['w4']['share_best'] == 1, 'paired over resamples')
    contest = document(*law, '--formats', 'none,w4a4', '--budget', '1e17')['formats'][0]
    check(contest['best'] == 'none' and contest['decided'], 'at equal cost nothing is better than none')
    contest = document(*law, '--formats', 'none,w4a4', '--budget', '1e17', '--speed', 'w4a4=4')['formats'][0]
    check(contest['best'] == 'w4a4' and contest['decided'], 'at four times the FLOPs: %r' % contest)
    contest = document(*law, '--formats', 'none,w4a4', '--budget', '1e16', '--memory', '2e6')['formats'][0]
    check(contest['best'] == 'w4a4' and near(contest['candidates'][0]['parameters']['value'], 16e6 / 16, 1e-9),
          'a budget within a memory: %r' % contest)
    twins = compressed_table('twins.csv', (('none', 1), ('w4a4', 0.75), ('int4', 0.752)), 0.01)
    question = ('predict', twins, '--law', 'effective-parameters', '--bootstrap', '100', '--starts', '200', '--formats',
                'w4a4,int4', '--at', 'N=1e8,D=1e9')
    contest = document(*question)['formats'][0]
    check(not contest['decided'], 'twins are not told apart: %r' % contest)
    code, out, err = run(*law, '--memory', '1e7', '--at', 'D=1e9')
    check(code == 0 and 'w4 wins' in out and 'bits' in out, out + err)
    code, out, err = run(*question)
    check(code == 0 and 'undecided' in out, out + err)


def law_table(name, sizes, tokens, noise=0.002):
    """Rows of the chinchilla law; noise without a random generator's whims."""
    rows, k = ['N,D,loss'], 0
    for n in sizes:
        for d in tokens:
            k += 1
            loss = 1.7 + 400 / n ** 0.34 + 900 / d ** 0.3
            rows.append('%r,%r,%r' % (n, d, loss * math.exp(noise * math.sin(12.9898 * k * k))))
    return write(name, '\n'.join(rows) + '\n')


@case
def far_outside():
    """Runs of 1e6 to 1e8 parameters asked about 3e8, 3e9 and 1e12."""
    table = law_table('far.csv', [1e6 * 10 ** (i / 2) for i in range(5)], [1e8 * 10 ** (i / 2) for i in range(5)])
    question = ('predict', table, '--bootstrap', '200', '--starts', '200', '--at', 'N=1e7|3e8|3e9|1e12,D=1e9', '--budget',
                'C=1e17|1e22')
    answer = document(*question)
    inside, near_by, far, hopeless = answer['points']
    check(inside['outside'] == {'parameters': None, 'tokens': None} and inside['cannot_tell'] is None and
          inside['held_back'] == {}, 'inside: %r' % inside)
    check(near(near_by['outside']['parameters'], 3, 1e-9) and near_by['outside']['tokens'] is None and
          near_by['loss']['low'] < near_by['loss']['value'] < near_by['loss']['high'] and
          near_by['cannot_tell'] is None, 'three times: %r' % near_by)
    held = near_by['held_back']['parameters']
    check(held['column'] == 'parameters' and held['above'] == 2 and held['to'] == 4 and held['error'] < 0.01 and
          held['judged'] == held['rows'] >= held['held'] > 0, 'held back: %r' % held)
    for point, times in ((far, 30), (hopeless, 1e4)):
        check(near(point['outside']['parameters'], times, 1e-9) and point['loss']['low'] is None and
              point['loss']['high'] is None and point['run'] == {'low': None, 'high': None} and
              point['loss']['value'] > 0 and point['loss']['status'] == 'not determined' and
              point['held_back'] == {'parameters': None}, 'far: %r' % point)
        check('these runs cannot tell: N = ' in point['cannot_tell'], point['cannot_tell'])
    sound, beyond = answer['allocations']
    check(sound['cannot_tell'] is None and sound['parameters']['low'] < sound['parameters']['high'], 'a budget inside')
    check('cannot tell' in beyond['cannot_tell'] and beyond['outside']['tokens'] > 10 and
          all(beyond[name]['low'] is None for name in ('parameters', 'tokens', 'tokens_per_parameter', 'loss')),
          'a budget far outside: %r' % beyond)
    code, out, err = run(*question)
    for words in ('N = 3e+08 lies 3 times outside the fitted range (1e+06 .. 1e+08)',
                  'held back: ', 'times outside: mean error 0.', 'these runs cannot tell: N = 1e+12 lies 1e+04 times',
                  'what would: runs of N = 1e+11 or', 'held back: none 30 times outside in N, so the error there is not'):
        check(code == 0 and words in ' '.join(out.split()), '%r in %s%s' % (words, out, err))
    values = [line for line in out.splitlines() if 'parameters = 1e+12' in line]
    check(len(values) == 1 and values[0].strip().startswith('(') and '..' not in values[0], 'no interval: %r' % values)


@case
def not_determined():
    """D follows N: alpha, beta and their amplitudes are not told apart; off the line nothing is known."""
    rows = ['N,D,loss']
    for i in range(14):
        n = 1e7 * 1.6 ** i
        rows.append('%r,%r,%r' % (n, 20 * n, (1.7 + 400 / n ** 0.34 + 900 / (20 * n) ** 0.3) *
                                  math.exp(0.002 * math.sin(12.9898 * i * i))))
    table = write('line.csv', '\n'.join(rows) + '\n')
    answer = document('predict', table, '--bootstrap', '200', '--at', 'N=1e8,D=2e9', '--at', 'N=2e7,D=8e10', '--budget',
                      '1e20')
    on, off = answer['points']
    check(on['loss']['status'] == 'determined' and on['loss']['low'] < on['loss']['high'], 'on the line: %r' % on)
    check(any(status != 'determined' for status in answer['status'].values()), 'coefficients: %r' % answer['status'])
    truth, low, high = 1.7 + 400 / 2e7 ** 0.34 + 900 / 8e10 ** 0.3, off['loss']['low'], off['loss']['high']
    check(off['outside'] == {'parameters': None, 'tokens': None} and
          answer['status'][off['loss']['hangs_on']] != 'determined' and (low is None or low < truth) and
          (high is None or high > truth), 'off the line: %r' % off)
    check('hangs_on' not in on['loss'], 'nothing hangs on them on the line')
    best = answer['allocations'][0]
    check(best['parameters']['status'] != 'determined' and None in (best['parameters']['low'],
                                                                    best['parameters']['high']), 'a budget: %r' % best)
    code, out, err = run('predict', table, '--bootstrap', '200', '--at', 'N=2e7,D=8e10')
    check(code == 0 and ('it hangs on ' in ' '.join(out.split()) or 'it moves with ' in out), out + err)


@case
def formats_far_outside():
    """A format that was trained small says little of large models; one that no row has says nothing."""
    rows, k = ['N,D,format,loss'], 0
    for form, worth, top in (('none', 1, 6), ('w4a4', 0.75, 6), ('w2a2', 0.3, 2)):
        for i in range(top):
            for j in range(4):
                n, d, k = 1e6 * 4 ** i, 2e7 * 4 ** j, k + 1
                loss = 1.7 + 400 / (n * worth) ** 0.34 + 900 / d ** 0.3
                rows.append('%r,%r,%s,%r' % (n, d, form, loss * math.exp(0.002 * math.sin(12.9898 * k * k))))
    table = write('small.csv', '\n'.join(rows) + '\n')
    law = ('predict', table, '--law', 'effective-parameters', '--bootstrap', '100', '--starts', '200')
    contest = document(*law, '--formats', 'none,w4a4,w2a2', '--at', 'N=1e9,D=1e9')['formats'][0]
    check(not contest['decided'] and contest['best'] is None and 'w2a2' in contest['cannot_tell'],
          'far from its own rows: %r' % contest)
    one = contest['candidates'][2]
    check(near(one['outside']['parameters'], 250, 1e-9) and near(one['outside']['format'], 250, 1e-9) and
          one['behind']['low'] is None and one['share_best'] is None and one['loss']['low'] is None and
          one['extrapolation']['parameters']['of'] == 'w2a2', 'its own range: %r' % one)
    check(contest['candidates'][0]['outside']['format'] is None, 'the baseline has no range of its own')
    contest = document(*law, '--formats', 'none,w4a4', '--at', 'N=1e9,D=1e9')['formats'][0]
    check(contest['decided'] and contest['best'] == 'none' and contest['cannot_tell'] is None, 'without it: %r' % contest)
    code, out, err = run(*law, '--formats', 'none,w4a4,w2a2', '--at', 'N=1e9,D=1e9')
    check(code == 0 and 'these runs cannot tell' in out and ' wins' not in out and 'undecided' not in out and
          '  best  ' not in out and '100.0 %' not in out, out + err)
    code, out, err = run(*law, '--formats', 'none,w4a4', '--at', 'N=3e9,D=1e9')
    check(code == 0 and 'none wins' in out and 'if the law holds outside the rows' in ' '.join(out.split()), out + err)
    point = document(*law, '--at', 'N=1e7,D=1e9,format=w3a3')['points'][0]
    check(point['outside']['format'] == 'not seen' and 'cannot tell: no fitted row has format = w3a3' in
          point['cannot_tell'] and point['loss']['value'] is None, 'a format that no row has: %r' % point)


@case
def known_outcomes():
    """Rows of a table whose loss is known: errors, R2, coverage; chosen by --table-where."""
    table = law_table('fitted.csv', [1e6 * 3 ** i for i in range(5)], [1e8 * 3 ** i for i in range(5)])
    points = write('later.csv', 'size,D,loss,who\n' + ''.join(
        '%r,%r,%s,%s\n' % (n, d, '' if who == 'c' else repr(1.7 + 400 / n ** 0.34 + 900 / d ** 0.3 + off), who)
        for n, d, off, who in ((2e8, 1e9, 0.01, 'a'), (2e8, 4e9, -0.02, 'a'), (1e8, 1e9, 5, 'b'), (1e8, 2e9, 0, 'c'))))
    law = ('predict', table, '--bootstrap', '200', '--starts', '200', '--map', 'parameters=size')
    # the fitted table has its own name for N: the mapping is only for the points
    code, out, err = run(*law, '--table', points)
    check(code == 2 and 'size' in err, 'the fit needs the mapped column too: ' + out + err)
    points = write('later.csv', open(points).read().replace('size', 'N'))
    law = law[:-2]
    answer = document(*law, '--table', points, '--table-where', "who != 'b'")
    check([point['at']['who'] for point in answer['points']] == ['a', 'a', 'c'], 'chosen rows: %r' % answer['points'])
    known = answer['points'][:2]
    check('observed' not in answer['points'][2] and all('loss' not in point['at'] for point in known), 'unknown: %r' % answer)
    errors = [point['loss']['value'] - point['observed'] for point in known]
    observed = [point['observed'] for point in known]
    mean = sum(observed) / 2
    score = answer['score']
    check(score['rows'] == 2 and score['fitted'] == 0, 'rows: %r' % score)
    check(near(score['mean_absolute_error'], sum(map(abs, errors)) / 2, 1e-9), 'mean absolute error: %r' % score)
    check(near(score['r2'], 1 - sum(e * e for e in errors) / sum((o - mean) ** 2 for o in observed), 1e-9), 'R2')
    check(near(score['rms'], math.sqrt(sum((e / o) ** 2 for e, o in zip(errors, observed)) / 2), 1e-9), 'rms')
    check(score['held'] == sum(point['within_run'] for point in known) and score['judged'] == 2, 'coverage: %r' % score)
    check(all(near(point['error'], e / o, 1e-9) for point, e, o in zip(known, errors, observed)), 'errors')
    again = document(*law, '--table', table)['score']
    check(again['rows'] == again['fitted'] == 25 and again['r2'] > 0.99, 'rows of the fit itself are told: %r' % again)
    code, out, err = run(*law, '--table', points)
    for words in ('observed', '3 rows of known loss: mean error', 'R2', 'line 2: parameters = 2e+08, tokens = 1e+09', 'lie within the interval of a run'):
        check(code == 0 and words in ' '.join(out.split()), '%r in %s%s' % (words, out, err))
    for arguments, words in (((*law, '--at', 'N=1e8,D=1e9', '--table-where', 'N > 1'), 'rows of --table FILE, which is not'),
                             ((*law, '--table', points, '--table-where', 'N > '), 'predict: --table-where'),
                             ((*law, '--table', points, '--table-where', 'M > 1'), "no column 'M'"),
                             ((*law, '--table', points, '--table-where', 'N > 1e12'), 'no row of')):
        code, out, err = run(*arguments)
        check(code == 2 and words in err and out == '', '%r: %d %r %r' % (arguments, code, out, err))


@case
def fits_say_it_too():
    """Derived quantities, rollouts and the report of a table; a fit made again keeps its ranges."""
    table = law_table('again.csv', [1e6 * 3 ** i for i in range(5)], [1e8 * 3 ** i for i in range(5)])
    code, first, err = run('fit', table, '--bootstrap', '100', '--starts', '200', '--json')
    fit = json.loads(first)[0]
    check(fit['ranges']['columns'] == {'parameters': [1e6, 81e6], 'tokens': [1e8, 81e8]}, 'ranges: %r' % fit['ranges'])
    at = {name: d for name, d in fit['derived'].items() if 'outside' in d}
    check(len(at) == 9 and sum(d['outside_of'] == 'flops' for d in at.values() if 'outside_of' in d) >= 3, 'at: %r' % at)
    far = [d for d in at.values() if d['outside'] > 10]
    check(len(far) >= 3 and all(d['low'] is None and d['status'] == 'not determined' for d in far) and
          all(d['low'] < d['high'] for d in at.values() if d['outside'] <= 10), 'far: %r' % at)
    kept = write('kept.json', first)
    code, again, err = run('fit', '--again', kept, '--json')
    check(code == 0 and again == first, 'made again: ' + err)
    code, out, err = run('fit', table, '--bootstrap', '100', '--starts', '200', '--details')
    for words in ('C 10 times outside', 'these runs cannot tell: C 100 times outside', 'rollouts: fitted on',
                  'N up to 9e+06', 'intervals held', 'held back: '):
        check(code == 0 and words in out, '%r in %s%s' % (words, out, err))
    page = path_of('page.html')
    code, out, err = run('report', table, '--law', 'chinchilla', '--bootstrap', '100', '--output', page)
    html = open(page).read() if code == 0 else ''
    for words in ('Rollouts: the lower part of the rows fitted', 'N up to 9e+06', 'these runs cannot tell: C 100 times',
                  'times outside: mean error'):
        check(words in html, '%r in the report: %s%s' % (words, out, err))


@case
def predict_errors():
    law = ('predict', quartet, '--law', 'distillation', '--where', dense, '--bootstrap', '0', '--starts', '20')
    stages = ('predict', quartet, '--law', 'quartet', '--bootstrap', '0', '--starts', '20')
    for arguments, words in ((law, 'say what to predict'),
                             ((*law, '--at', 'N=1e9,D='), 'column 9: a value is missing'),
                             ((*law, '--at', 'tokns=1e9'), "did you mean 'tokens'?"),
                             ((*law, '--budget', 'much'), 'takes FLOPs'),
                             ((*law, '--budget', '1e21', '--cost', 'free'), '6nd or counted'),
                             ((*law, '--budget', '1e21', '--formats', 'a,b'), 'does not tell formats apart'),
                             ((*law, '--at', 'N=1e9,D=1e9', '--memory', '-3'), 'number of bytes'),
                             ((*stages, '--budget', '1e20', '--formats', 'BF16,QuEST'), 'name one: --formats'),
                             ((*stages, '--budget', '1e20', '--formats', 'forward=BF16,QuEZT'), 'there are: BF16'),
                             ((*stages, '--at', 'D=1e10', '--memory', '1e9', '--formats', 'forward=BF16,QuEST'),
                              '--bits QuEST=4.25'),
                             (('predict', '--law', 'chinchilla', '--fix', 'E=1', '--budget', '1e21'), '--fix A=NUMBER'),
                             (('fit', quartet, '--law', 'chinchilla', '--law', 'power-sum'),
                              "--law is given twice, as 'chinchilla' and as 'power-sum'"),
                             (('predict', quartet, '--law', 'chinchilla', '--law=power-sum', '--at', 'N=1e9,D=1e9'),
                              '--law is given twice'),
                             (('predict', '--at', 'N=1'), 'name what to predict from'),
                             (('predict', 'nothing', '--at', 'N=1'), "no table 'nothing'"),
                             (('predict', 'a.csv', 'b.csv', '--at', 'N=1'), 'give one'),
                             (('fit', 'compare', quartet, '--law', 'chinchilla'), 'at least two laws'),
                             (('fit', 'compare', quartet, '--law', 'chinchilla', '--law', 'optimal-size'),
                              'do not predict the same'),
                             (('fit', 'compare', quartet, '--law', 'chinchilla', '--law', 'capacity'),
                              "no column 'gmse_weights'"),
                             (('fit', quartet, '--where', dense, '--bootstrap', '0', '--export', 'fortran'),
                              'none of the languages'),
                             (('fit', quartet, '--output', 'x'), '--export')):
        code, out, err = run(*arguments)
        check(code == 2 and words in err and out == '', '%r: %d %r %r' % (arguments, code, out[-300:], err))
    code, out, err = run(*law, '--at', 'N=1e9')
    check(code == 2 and 'tokens is not given' in err, 'a point without its tokens: ' + out + err)


@case
def compare():
    question = ('fit', 'compare', quartet, '--where', dense, '--law', 'chinchilla', '--law')
    made = document(*question, 'distillation', '--law', 'power-sum', '--objective', 'huber:1e-4', '--starts', '500')
    check([law['law'] for law in made['laws']][0] == 'distillation' and made['best'] == 'distillation', 'the gamma law')
    check(made['rows'] == 24 and made['held_out'] == 24 and made['folds'] == 5 and
          made['objective_kind'] == 'huber:0.0001', 'what was compared: %r' % made)
    for law in made['laws']:
        k, n = law['parameters'], made['rows']
        check(near(law['aic'], 2 * k - 2 * law['log_likelihood'], 1e-12), 'AIC')
        check(near(law['aicc'], law['aic'] + 2 * k * (k + 1) / (n - k - 1), 1e-12), 'AICc')
        check(near(law['bic'], k * math.log(n) - 2 * law['log_likelihood'], 1e-12), 'BIC')
        check(law['told_apart'] == (law['law'] != 'distillation'), 'told apart: %r' % law)
    check(made['laws'][0]['objective'] <= 2.12923e-6, 'the published minimum')
    code, out, err = run(*question, 'power-sum', '--starts', '300', '--holdout', 'N > 2e8')
    flat = ' '.join(out.split())
    check(code == 0 and 'held out: 5 rows' in out and 'predicts' not in flat, out + err)
    check(re.search(r'The data cannot tell (\S+) from (\S+): AICc [^;]*; held-out loss is lower for \1 by', flat),
          'one answer with what each criterion says: ' + out)
    one = document('fit', 'compare', quartet, '--law', 'quartet', '--law', 'quartet-beta1', '--folds', '1', '--starts',
                   '200')
    check(one['held_out'] == 0 and one['laws'][0]['holdout_error'] is None, 'nothing held out')
    check(any('21 rows are in no stage' in warning for warning in one['warnings']), 'rows of no stage')


@case
def imports():
    code, out, err = run('import', '--list')
    check(code == 0 and 'no table' in out, out + err)
    check(document('import', '--list') == [], 'an empty list')
    rows = ['run_id,size,seen,perplexity,format']
    for i in range(4):
        for j in range(4):
            n, d = 1e6 * 3 ** i, 1e7 * 3 ** j
            rows.append('r%d%d,%r,%r,%r,"a ""b"", c"' % (i, j, n, d, 1.7 + 400 / n ** 0.34 + 900 / d ** 0.31))
    text = '\n'.join(rows) + '\n'
    table, maps = write('import.csv', text), 'parameters=size,tokens=seen,loss=perplexity'
    made = document('import', table, '--as', 'mine', '--map', maps)
    check(made['rows'] == 16 and made['mapping'] == {'parameters': 'size', 'tokens': 'seen', 'loss': 'perplexity'} and
          not made['replaced'], 'import: %r' % made)
    fit = document('fit', 'mine', '--bootstrap', '0')[0]
    same = document('fit', table, '--map', maps, '--bootstrap', '0')[0]
    check(fit['parameters'] == same['parameters'] and fit['rows'] == 16, 'the same fit by name and by file')
    check(fit['parameter_count'] == 'as in column size', 'the count of N: %r' % fit['parameter_count'])
    check(fit['residuals'][0]['row'] == 'r00', 'rows keep their names')
    answer = document('predict', 'mine', '--at', 'N=1e8,D=1e9', '--bootstrap', '0')
    check(near(answer['points'][0]['loss']['value'], 1.7 + 400 / 1e8 ** 0.34 + 900 / 1e9 ** 0.31, 1e-4), 'predict NAME')
    code, out, err = run('fit', 'compare', 'mine', '--law', 'chinchilla', '--law', 'power-sum', '--starts', '100')
    check(code == 0 and '16 rows of mine' in out, out + err)
    code, out, err = run('import', '--show', 'mine')
    check(code == 0 and out.startswith('run_id,parameters,tokens,loss,format\n') and '"a ""b"", c"' in out, out[:300])
    shown = write('shown.csv', out)
    check(document('fit', shown, '--bootstrap', '0')[0]['parameters'] == same['parameters'], 'what is shown is fitted')
    # the same file again; then one with a changed, a new and a lost row
    code, out, err = run('import', table, '--as', 'mine', '--map', maps)
    check(code == 0 and 'nothing has changed' in out, out + err)
    changed = text.replace('r00,', 'r99,').replace('r11,3000000.0', 'r11,3100000.0')
    write('import.csv', changed)
    code, out, err = run('import', table, '--as', 'mine', '--map', maps)
    check(code == 0 and '1 row added, 1 removed, 1 changed' in out and 'changed in: parameters' in out, out + err)
    # pooled with another table
    other = compressed_table('pooled.csv', (('none', 1),), 0)
    pooled = document('fit', 'mine', '--pool', other, '--bootstrap', '0')[0]
    check(pooled['rows'] == 32, 'pooled rows: %r' % pooled['rows'])
    pooled = document('fit', 'mine', '--pool', other, '--where', 'pool == "mine"', '--bootstrap', '0')[0]
    check(pooled['rows'] == 16, 'the column pool')
    listed = document('import', '--list')
    check(len(listed) == 1 and listed[0]['rows'] == 16 and len(listed[0]['digest']) == 32, 'list: %r' % listed)
    bad = write('bad.csv', 'N,D,loss\n1e6,1e7,3\n1e6,2e7,about 3\n')
    for arguments, words in ((('import', bad, '--as', 'bad'), "bad.csv:3: column 3, 'loss': 'about 3' is no number"),
                             (('import', table, '--as', 'a b'), 'cannot be the name'),
                             (('import', table), 'give one table and a name'),
                             (('import', table, '--as', 'x', '--map', 'parameters=sise'), "did you mean 'size'?"),
                             (('import', table, '--as', 'x', '--map', 'parameters'), 'name=column'),
                             (('import', table, '--as', 'x', '--where', 'size < 0'), 'no row is left'),
                             (('import', '/nonexistent.csv', '--as', 'x'), 'cannot read'),
                             (('import', '--remove', 'other'), "no table 'other'"),
                             (('import', '--list', '--show', 'mine'), 'give one table'),
                             (('fit', 'minne'), "did you mean 'mine'?"),
                             (('fit', 'mine', '--map', maps), 'was mapped when it was imported')):
        code, out, err = run(*arguments)
        check(code in (2, 3) and words in err and out == '', '%r: %d %r %r' % (arguments, code, out, err))
    code, out, err = run('import', '--remove', 'mine')
    check(code == 0 and 'removed' in out, out + err)
    check(document('import', '--list') == [], 'gone')


def literal(value):
    if isinstance(value, str):
        return '"%s"' % ''.join('\\%03o' % byte for byte in value.encode())
    return 'NAN' if value is None else repr(float(value))


@case
def exports():
    """Every law that ships, and one that uses everything, as C and Python against law_predict."""
    folder = path_of('exports')
    os.mkdir(folder)
    everything = write('everything.yaml', '''law: every-thing
formula: >-
  base(x) + (label == "none" ? min(a, N, 7) : max(x, b, 1)) + logsumexp(a, b, log(x + 3)) % 2
  + sum(a, b, x) * mean(x, 2, a) + (b in [1, 2, x] or not (b < x and x >= 0) ? sqrt(a) : abs(b))
  + floor(b * x) - ceil(b) + round(2.5) + round(x * 10) + pow(a, 2) - (a - b)^2 + -x^2 + log2(a) + log10(a)
  + log(abs(x)) + sin(x) * cos(b) + exp(tanh(a / b)) + eff[label] * eff["none"] + 10 ^ (x * 200) / 1e300
  + max(min(lambda / (x - x), 5), -5)
  + (x != 1 && a > 0 || x <= 2) + 1e5 + E.x
define: {"base(y)": "tanh(y) / double"}
parameters:
  a: {positive: true, starts: [1, 3]}
  b: {starts: [-2, 2.5]}
  double: {starts: [1.5]}
  lambda: {starts: [-1, 1]}
  eff: {by: label, starts: [0.5, 2], baseline: none}
'''.replace(' + E.x', ' + model.width * 1e-3'))
    laws = dict(os.environ, ISOLOSS_DATA=os.path.join(source, 'fitting'))
    subprocess.run([export_cases, folder, everything], check=True, env=laws, timeout=60)
    made = json.load(open(os.path.join(folder, 'cases.json')))
    check(len(made) >= 15, 'every law: %d' % len(made))
    driver, sources, expected = ['#include <math.h>\n#include <stdio.h>'], [], []
    for case in made:
        name, function = case['law'], re.sub('[^A-Za-z0-9]', '_', case['law'])
        sources.append(os.path.join(folder, name + '.c'))
        kinds = ', '.join('const char *' if texts else 'double' for texts in case['texts'])
        driver.append('double %s(%s);' % (function, kinds))
    driver.append('int main(void) {')
    for case in made:
        function = re.sub('[^A-Za-z0-9]', '_', case['law'])
        space = {}
        exec(compile(open(os.path.join(folder, case['law'] + '.py')).read(), case['law'], 'exec'), space)
        worst = 0
        for *inputs, value in case['points']:
            value = math.nan if value is None else value
            driver.append('  printf("%%.17g\\n", %s(%s));' % (function, ', '.join(map(literal, inputs))))
            expected.append((case['law'], value))
            got = space[function](*inputs)
            fine = math.isnan(value) == math.isnan(got) if math.isnan(value) or not math.isfinite(got) \
                else abs(got - value) <= 1e-12 * abs(value)
            fine = fine or (math.isnan(value) and math.isinf(got))  # infinities are null in the document
            check(fine, 'Python %s%r: %r, not %r' % (case['law'], tuple(inputs), got, value))
        check(sum(math.isfinite(point[-1]) for point in case['points'] if point[-1] is not None) >= 10,
              'finite values of ' + case['law'])
    driver.append('  return 0;\n}')
    main = os.path.join(folder, 'main_driver.c')
    with open(main, 'w') as file:
        file.write('\n'.join(driver) + '\n')
    program = os.path.join(folder, 'driver')
    compiler = os.environ.get('CC', 'cc').split()
    built = subprocess.run([*compiler, '-std=c11', '-O0', '-Wall', '-Werror', '-ffp-contract=off', '-o', program, main,
                            *sources, '-lm'], capture_output=True, text=True)
    check(built.returncode == 0, 'the C compiles: ' + built.stderr[:3000])
    if built.returncode == 0:
        lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
        check(len(lines) == len(expected), 'as many values')
        for line, (law, value) in zip(lines, expected):
            got = float(line)
            fine = abs(got - value) <= 1e-12 * abs(value) if not math.isnan(value) else not math.isfinite(got)
            check(fine, 'C %s: %r, not %r' % (law, got, value))
    for case in made:
        tex = open(os.path.join(folder, case['law'] + '.tex')).read()
        body = re.sub(r'%.*', '', tex.replace('\\%', ''))
        braces = body.replace('\\{', '').replace('\\}', '')
        check(braces.count('{') == braces.count('}') and body.count('\\left') == body.count('\\right') and
              '\\[' in body and 'tabular' in body, 'LaTeX of ' + case['law'])
    check('\\frac{A}{N^{\\alpha}}' in open(os.path.join(folder, 'chinchilla.tex')).read(), 'the formula of chinchilla')


@case
def export_of_a_fit():
    target = path_of('law.py')
    code, out, err = run('fit', quartet, '--law', 'quartet', '--bootstrap', '50', '--export', 'python', '-o', target)
    check(code == 0 and out == '', out + err)
    space = {}
    exec(open(target).read(), space)
    fit = document('fit', quartet, '--law', 'quartet', '--bootstrap', '0')[0]
    lines = open(quartet).read().splitlines()[1:]
    rows = {line.split(',')[0]: line.split(',') for line in lines}
    for row in fit['residuals']:
        cells = rows[row['row']]
        got = space['quartet'](parameters=float(cells[1]), forward=cells[5], tokens=float(cells[2]), backward=cells[6])
        fine = row['predicted'] is None and math.isnan(got) or near(got, row['predicted'], 1e-12)
        check(fine, 'exported fit at %s: %r, not %r' % (row['row'], got, row['predicted']))
    code, out, err = run('fit', quartet, '--law', 'distillation', '--where', dense, '--bootstrap', '50', '--export',
                         'latex')
    check(code == 0 and r'\alpha$ & $0.' in out and ' to ' in out, out + err)
    code, out, err = run('fit', quartet, '--law', 'distillation', '--where', dense, '--bootstrap', '0', '--export', 'c')
    check(code == 0 and 'double distillation(double parameters, double tokens)' in out, out + err)


@case
def laws_explained():
    law = document('laws', 'quartet')[0]
    check(set(law['columns']) == {'forward', 'backward', 'parameters', 'tokens'}, 'columns: %r' % law['columns'])
    entries = {entry['name']: entry for entry in law['parameters']}
    check(entries['gamma']['low'] == 0.001 and entries['gamma']['high'] == 10 and
          entries['eff_N']['by'] == 'forward' and 'BF16' in entries['eff_N']['baseline'], 'parameters: %r' % entries)
    check([stage['name'] for stage in law['stages']] == ['dense', 'backward', 'forward'], 'stages')
    law = document('laws', 'chinchilla')[0]
    derived = {entry['name']: entry for entry in law['derived']}
    check(derived['a']['formula'] == 'beta / (alpha + beta)' and derived['parameters_optimal']['at'] == 'flops',
          'derived: %r' % derived)
    check(document('laws', 'capacity')[0]['definitions'][0]['name'] == 'bits(gmse)', 'definitions')
    code, out, err = run('laws', 'effective-parameters')
    for words in ('parameters (N)', 'tokens (D)', 'format', 'eff[format]', 'arXiv 2502.16440', 'up to 10',
                  'exponent of compute'):
        check(code == 0 and words in out, '%s in %s' % (words, out))


@case
def experiment():
    """A spec's entries: predicted from, compared, exported, pooled with an imported table."""
    path = write('small.yaml', '''experiment: small
corpus: {source: markov2, markov2_vocabulary: 32}
base:
  model: {layers: 1, context: 32}
  train: {batch_tokens: 256, evals: 1, eval_tokens: 512, final_eval_tokens: 1024, lr: 1.0e-2}
sweep:
  grid: {model.width: [16, 32], train.tokens: [1024, 4096, 16384], seed: [1, 2]}
fit:
  - {law: chinchilla, name: both, bootstrap: 50, compare: [power-sum, power-law]}
  - {law: power-law, name: compute, average_over: [seed], bootstrap: 50}
''')
    code, out, err = run('predict', path + ':both', '--at', 'N=1e4,D=1e5')
    check(code == 2 and 'isoloss run ' in err, out + err)
    code, out, err = run('run', path)
    check(code == 0, err[-2000:])
    fits = document('fit', path)
    check(fits[0]['comparison']['rows'] == 12 and {law['law'] for law in fits[0]['comparison']['laws']} ==
          {'chinchilla', 'power-sum', 'power-law'}, 'the comparison of an entry: %r' % fits[0].get('comparison'))
    check('comparison' not in fits[1], 'no comparison where none is asked for')
    answer = document('predict', path + ':both', '--at', 'N=1e5,D=1e6', '--budget', '1e11')
    stored = {name: entry['value'] for name, entry in fits[0]['parameters'].items()}
    check(answer['parameters'] == stored and answer['rows'] == 12, 'the fit of the entry: %r %r' % (answer, stored))
    check(answer['cost'] == 'counted' and answer['bootstrap'] == 50, 'FLOPs are counted in runs')
    check('parameters' in answer['points'][0]['extrapolation'], 'far outside')
    answer = document('predict', path + ':compute', '--at', 'C=1e12')
    check(answer['rows'] == 6 and answer['points'][0]['loss']['value'] > 0, 'averages over seeds: %r' % answer)
    made = document('fit', 'compare', path + ':both', '--law', 'chinchilla', '--law', 'power-law', '--starts', '200')
    check(made['rows'] == 12 and len(made['laws']) == 2, 'fit compare SPEC:ENTRY')
    code, out, err = run('fit', path + ':compute', '--export', 'c')
    check(code == 0 and 'double compute(double flops)' in out, out + err)
    code, out, err = run('predict', path, '--at', 'N=1e4,D=1e5')
    check(code == 2 and 'several fit entries (both, compute)' in err, err)
    code, out, err = run('predict', path + ':bot', '--at', 'N=1e4,D=1e5')
    check(code == 2 and "no fit entry 'bot'" in err, err)
    more = write('more.csv', 'N,D,loss,extra\n' + ''.join('%d,%d,%r,x\n' % (n, d, 2 + 40 / n ** 0.3 + 90 / d ** 0.3)
                                                         for n in (10000, 20000) for d in (10000, 30000)))
    check(run('import', more, '--as', 'more')[0] == 0, 'import')
    pooled = document('fit', path + ':both', '--pool', 'more', '--bootstrap', '0', '--starts', '200')[0]
    check(pooled['rows'] == 16, 'runs and a table: %r' % pooled['rows'])
    bad = write('bad.yaml', open(path).read().replace('power-sum, power-law', 'power-sun'))
    code, out, err = run('check', bad)
    check(code == 2 and 'power-sun' in err + out and 'power-sum' in err + out, out + err)


@case
def intervals_are_those_of_coefficients():
    """Where the law's value is a coefficient, its interval is the coefficient's, of either kind."""
    law = write('only.yaml', '''law: only
formula: "K / (N / 1e8)^gamma"
residual: log
objective: least-squares
parameters:
  K: {positive: true, starts: [1, 10]}
  gamma: {low: -5, high: 5, starts: [0.01, 0.1]}
''')
    ends = {}
    for kind in ('bca', 'percentile'):
        asked = (quartet, '--law', law, '--where', dense, '--bootstrap', '200', '--interval', kind)
        k = document('fit', *asked)[0]['parameters']['K']
        made = document('predict', *asked, '--at', 'N=1e8,D=1')
        point = made['points'][0]['loss']
        check(made['interval'] == k['interval'] == kind, '%r %r' % (made['interval'], k))
        check(near(point['low'], k['low'], 1e-9) and near(point['high'], k['high'], 1e-9), '%s: %r %r' % (kind, point, k))
        ends[kind] = point['low'], point['high']
    check(ends['bca'] != ends['percentile'], 'two kinds of interval: %r' % ends)


harness.finish()
