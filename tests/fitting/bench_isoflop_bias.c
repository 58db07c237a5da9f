// How far the correction of isoflop's bias is to be trusted, by how far the fitted surface misses the losses:
// `bench_isoflop_bias [--repeats N]`. True surfaces of six kinds, five of which are not of the fitted form, on grids of
// four widths whose centres drift, with and without noise; exponents of N* by parabolas and by Akima's interpolation
// against those of the surface's own optima. A line for each stretch of misses: how often the corrected exponent is the
// nearer one, and how large the errors of both are.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"

enum { BUDGETS = 5, SIZES = 11, KINDS = 6, STRETCHES = 8 };

struct truth {
  int kind;
  double alpha, beta, A, B, E;
  double off;  // how far from the form, 0 to 1
  double width, centre, last, noise;
};

static const double stretches[STRETCHES + 1] = {0, 0.001, 0.003, 0.005, 0.01, 0.02, 0.04, 0.08, 1};

static double uniform(uint64_t repeat, uint64_t place, double low, double high) {
  return low + (high - low) * random_uniform(11, 1, repeat, place);
}

static struct truth draw(uint64_t repeat) {
  static const double noises[] = {0, 0.001, 0.003, 0.01, 0.03}, widths[] = {2, 4, 8, 16};
  struct truth truth = {.kind = (int)(repeat % KINDS),
                        .alpha = uniform(repeat, 0, 0.22, 0.45),
                        .beta = uniform(repeat, 1, 0.22, 0.45),
                        .E = uniform(repeat, 2, 0.8, 2),
                        .off = exp(uniform(repeat, 3, log(0.02), 0)),
                        .centre = exp(uniform(repeat, 4, -1.1, 1.1)),
                        .last = exp(uniform(repeat, 5, -1.1, 1.1)),
                        .width = widths[random_below(11, 2, repeat, 0, 4)],
                        .noise = noises[random_below(11, 2, repeat, 1, 5)]};
  double part = uniform(repeat, 6, 0.3, 1.2);  // of the loss that each term is at N = 1e8, D = 2e9
  truth.A = part * pow(1e8, truth.alpha);
  truth.B = uniform(repeat, 7, 0.3, 1.2) * pow(2e9, truth.beta);
  return truth;
}

static double loss_of(const struct truth *truth, double N, double D) {
  double n = truth->A / pow(N, truth->alpha), d = truth->B / pow(D, truth->beta), off = truth->off;
  double size = log(N / 1e8), length = log(D / 2e9);
  switch (truth->kind) {
    case 1:  // a power of the sum
      return truth->E + pow(n + d, 1 + 0.6 * off);
    case 2:  // a term of both
      return truth->E + n + d + off * sqrt(n * d);
    case 3:  // an exponent that runs
      return truth->E + n * exp(-0.02 * off * size * size) + d;
    case 4:  // a learning rate that suits one size
      return truth->E + n + d + 0.01 * off * size * size;
    case 5:  // short runs that have not begun to learn
      return truth->E + n + d + 0.2 * off * exp(-1.2 * length);
    default:
      return truth->E + n + d;
  }
}

// The best size of a budget by golden section over ln N.
static double best_size(const struct truth *truth, double C) {
  double low = log(1e4), high = log(1e13);
  for (int i = 0; i < 200; i++) {
    double left = high - 0.6180339887498949 * (high - low), right = low + 0.6180339887498949 * (high - low);
    if (loss_of(truth, exp(left), C / 6 / exp(left)) < loss_of(truth, exp(right), C / 6 / exp(right)))
      high = right;
    else
      low = left;
  }
  return exp((low + high) / 2);
}

static double budget_of(size_t b) { return 1e17 * pow(1e4, (double)b / (BUDGETS - 1)); }

static void make_table(struct table *table, const struct truth *truth, uint64_t repeat) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  table_init(table, "made", (size_t)BUDGETS * SIZES);
  for (int c = 0; c < 3; c++) table_add_number(table, names[c], ROLE_UNKNOWN);
  for (size_t row = 0; row < table->row_count; row++) {
    double share = (double)(row / SIZES) / (BUDGETS - 1), C = budget_of(row / SIZES), normal[2];
    double centre = truth->centre * pow(truth->last / truth->centre, share);
    double N = best_size(truth, C) * centre * pow(truth->width, 2 * (double)(row % SIZES) / (SIZES - 1) - 1);
    random_normal_pair(13, 1, repeat, row, normal);
    double values[] = {N, C / 6 / N, loss_of(truth, N, C / 6 / N) * exp(truth->noise * normal[0])};
    for (int c = 0; c < 3; c++) table->columns[c].numbers[row] = values[c];
  }
}

static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct errors {
  double *measured, *corrected;
  size_t count, nearer;
};

static double share_of(double *values, size_t count, double share) {
  qsort(values, count, sizeof *values, by_number);
  return values[(size_t)(share * (double)(count - 1))];
}

// The exponent of the true optima over the budgets that the method had.
static double true_exponent(const struct truth *truth, const struct isoflop *result) {
  double x[BUDGETS], y[BUDGETS], mx = 0, my = 0, xy = 0, xx = 0;
  size_t n = 0;
  for (size_t b = 0; b < result->budget_count && n < BUDGETS; b++) {
    if (result->budgets[b].rejected) continue;
    x[n] = log(result->budgets[b].flops);
    y[n] = log(best_size(truth, result->budgets[b].flops));
    mx += x[n];
    my += y[n++];
  }
  for (size_t i = 0; i < n; i++) {
    xy += (x[i] - mx / (double)n) * (y[i] - my / (double)n);
    xx += (x[i] - mx / (double)n) * (x[i] - mx / (double)n);
  }
  return xy / xx;
}

static void measure(uint64_t repeat, enum isoflop_method method, struct errors *errors) {
  struct truth truth = draw(repeat);
  struct table table;
  struct isoflop result;
  struct error error = {0};
  make_table(&table, &truth, repeat);
  const struct isoflop_options options = {.method = method, .copies = 0, .surface = "chinchilla", .largest_miss = 1};
  if (isoflop_run(&table, &options, &result, &error) && result.regressed && !result.bias.trouble) {
    double exponent = true_exponent(&truth, &result), miss = result.bias.residual_rms;
    size_t stretch = 0;
    while (stretch + 1 < STRETCHES && miss >= stretches[stretch + 1]) stretch++;
    struct errors *here = &errors[stretch];
    here->measured[here->count] = fabs(result.exponents[0].plain.exponent - exponent);
    here->corrected[here->count] = fabs(isoflop_corrected(&result, ISOFLOP_PARAMETERS) - exponent);
    here->nearer += here->corrected[here->count] < here->measured[here->count];
    here->count++;
  }
  isoflop_free(&result);
  table_free(&table);
}

int main(int argc, char **argv) {
  static const char *const methods[] = {"parabola", "akima"};
  fitting_start();
  uint64_t repeats = 600;
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], "--repeats") == 0) repeats = (uint64_t)atoll(argv[i + 1]);
  for (int method = ISOFLOP_PARABOLA; method <= ISOFLOP_AKIMA; method++) {
    struct errors errors[STRETCHES] = {0};
    for (int s = 0; s < STRETCHES; s++) {
      errors[s].measured = memory_get((size_t)repeats * sizeof(double));
      errors[s].corrected = memory_get((size_t)repeats * sizeof(double));
    }
    for (uint64_t repeat = 0; repeat < repeats; repeat++) measure(repeat, (enum isoflop_method)method, errors);
    printf("%s: |error| of the exponent of N*, half and nine tenths of the tables below\n", methods[method]);
    for (int s = 0; s < STRETCHES; s++) {
      struct errors *e = &errors[s];
      if (e->count)
        printf(
            "  surface misses by %4.1f to %5.1f %%: %4zu tables, corrected nearer in %3.0f %%, measured %.4f %.4f, "
            "corrected %.4f %.4f\n",
            100 * stretches[s], 100 * stretches[s + 1], e->count, 100 * (double)e->nearer / (double)e->count,
            share_of(e->measured, e->count, 0.5), share_of(e->measured, e->count, 0.9),
            share_of(e->corrected, e->count, 0.5), share_of(e->corrected, e->count, 0.9));
      free(e->measured);
      free(e->corrected);
    }
  }
  return 0;
}
