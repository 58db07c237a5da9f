#!/usr/bin/env python3
"""The chinchilla law on one table of 240 rows from 4500 starts: isoloss beside SciPy's L-BFGS-B.

bench_scipy.py ISOLOSS [--starts N] [--json]

Both minimize the same objective (Huber of 0.001 on log loss, summed) from the same grid of starts; SciPy does so the way
notebooks do, start after start with the objective vectorized over rows and its default tolerances, once with exact
gradients and once without (finite differences). Of SciPy's starts N (default 150; 4500: all) are run, spread evenly over
the grid, and its time is scaled to all of them. Processor seconds do not mind a busy machine; elapsed ones, which do,
count that isoloss uses every core. Both of isoloss include starting the program and reading the table. Exit code 77
(skipped) without SciPy.
"""
import argparse
import itertools
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
try:
    import numpy as np
    from scipy.optimize import minimize
except ImportError:
    print('SciPy is not installed (python3-scipy): skipped')
    sys.exit(77)

DELTA = 1e-3


def make_table():
    """Rows (N, D, loss): 16 sizes by 15 durations, losses of a known law with noise of 0.4 %."""
    noise = random.Random(1)
    design = itertools.product((4e7 * 400 ** (i / 15) for i in range(16)), (1e9 * 300 ** (j / 14) for j in range(15)))
    return [(n, d, (1.82 + 482 * n ** -0.348 + 2085 * d ** -0.366) * math.exp(0.004 * noise.gauss(0, 1)))
            for n, d in design]


class Objective:
    def __init__(self, rows):
        table = np.array(rows)
        self.n, self.d, self.observed = np.log(table).T

    def residual(self, x):
        e, a, b, alpha, beta = x
        terms = np.stack([np.full_like(self.n, e), a - alpha * self.n, b - beta * self.d])
        highest = terms.max(axis=0)
        weights = np.exp(terms - highest)
        total = weights.sum(axis=0)
        return highest + np.log(total) - self.observed, weights / total

    def value(self, x):
        size = np.abs(self.residual(x)[0])
        return np.where(size <= DELTA, 0.5 * size * size, DELTA * (size - 0.5 * DELTA)).sum()

    def value_and_gradient(self, x):
        residual, shares = self.residual(x)
        size = np.abs(residual)
        slope = np.clip(residual, -DELTA, DELTA)
        value = np.where(size <= DELTA, 0.5 * size * size, DELTA * (size - 0.5 * DELTA)).sum()
        e, a, b = shares @ slope
        return value, np.array([e, a, b, -(shares[1] * slope) @ self.n, -(shares[2] * slope) @ self.d])


def scipy_seconds(objective, starts, exact):
    """Processor seconds and elapsed ones a start, and the lowest objective."""
    bounds = [(None, None)] * 3 + [(0, 10)] * 2
    best, begin, wall = math.inf, time.process_time(), time.perf_counter()
    for start in starts:
        result = minimize(objective.value_and_gradient if exact else objective.value, start, method='L-BFGS-B',
                          jac=exact, bounds=bounds)
        best = min(best, result.fun)
    return (time.process_time() - begin) / len(starts), (time.perf_counter() - wall) / len(starts), best


def isoloss_seconds(isoloss, rows):
    """Processor seconds and elapsed ones (least of three), the document of the fit."""
    least = elapsed = math.inf
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'table.csv')
        with open(path, 'w') as file:
            file.write('parameters,tokens,loss\n' + ''.join('%r,%r,%r\n' % row for row in rows))
        for _ in range(3):
            before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            done = subprocess.run([isoloss, 'fit', path, '--law', 'chinchilla', '--bootstrap', '0', '--json'],
                                  capture_output=True, text=True, check=True,
                                  env={**os.environ, 'ISOLOSS_HOME': os.path.join(folder, 'home')})
            elapsed = min(elapsed, time.perf_counter() - wall)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least, elapsed, json.loads(done.stdout)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('isoloss')
    parser.add_argument('--starts', type=int, default=150)
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args()
    rows = make_table()
    objective = Objective(rows)
    # The starts of fitting/laws/chinchilla.yaml.
    grid = list(itertools.product([-1, -0.5, 0, 0.5, 1], np.linspace(0, 25, 6), np.linspace(0, 25, 6),
                                  [0, 0.5, 1, 1.5, 2], [0, 0.5, 1, 1.5, 2]))
    count = min(max(options.starts, 1), len(grid))
    starts = [np.array(grid[i * len(grid) // count]) for i in range(count)]
    ours, elapsed, fit = isoloss_seconds(options.isoloss, rows)
    results = [{'name': 'isoloss', 'starts': fit['starts'], 'processor_seconds': ours, 'elapsed_seconds': elapsed,
                'objective': fit['objective']}]
    for exact in (True, False):
        each, wall, best = scipy_seconds(objective, starts, exact)
        results.append({'name': 'SciPy L-BFGS-B, %s gradients' % ('exact' if exact else 'finite-difference'),
                        'starts': count, 'processor_seconds': each * len(grid), 'elapsed_seconds': wall * len(grid),
                        'objective': best, 'ratio': each * len(grid) / ours,
                        'elapsed_ratio': wall * len(grid) / elapsed})
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print('chinchilla law, 240 rows, %d starts; SciPy: %d of them, scaled to all' % (len(grid), count))
    for result in results:
        print('%-44s %8.3f s of processor, %8.3f s elapsed  objective %.9g%s' %
              (result['name'], result['processor_seconds'], result['elapsed_seconds'], result['objective'],
               '  %.0f and %.0f times as long' % (result['ratio'], result['elapsed_ratio']) if 'ratio' in result else ''))


main()
