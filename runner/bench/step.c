// Whole training steps against the floor of their bare products, and the operations a step is made of.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/bench/model.h"

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// Shares of a step's time by kind of operation, the largest first.
static void add_shares(struct bench *bench, struct bench_row *row, const struct bench_profile *profile) {
  struct bench_share *shares = arena_array(&bench->arena, BENCH_OPS_COUNT, sizeof *shares);
  double all = bench_profile_best(profile, NULL);
  for (int op = 0; op < BENCH_OPS_COUNT; op++) {
    enum bench_op which = (enum bench_op)op;
    double sum = bench_profile_best(profile, &which);
    if (sum <= 0) continue;
    int at = row->share_count++;
    for (; at > 0 && shares[at - 1].share < sum / all; at--) shares[at] = shares[at - 1];
    shares[at] = (struct bench_share){bench_op_name((enum bench_op)op), sum / all};
  }
  row->shares = shares;
}

static bool step_rounds(struct bench_model *m, struct error *error) {
  struct bench *bench = m->bench;
  enum { MOST = 400 };
  double *times = arena_array(&bench->arena, MOST, sizeof *times), best = INFINITY, best_wall = INFINITY;
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.3, 2, MOST} : (struct bench_budget){12, 5, MOST};
  int rounds = 0;
  for (double began = bench_now(bench); bench_again(&budget, rounds, bench_now(bench) - began); rounds++) {
    double wall;
    // In turns, so that both see the same machine.
    if (!bench_model_step(m, &times[rounds], &wall, error) || !bench_products_time(&m->products, error) ||
        !bench_peak(bench, m->model->dtype, error))
      return false;
    best = fmin(best, times[rounds]);
    best_wall = fmin(best_wall, wall);
  }
  qsort(times, (size_t)rounds, sizeof *times, by_size);
  double tokens = (double)m->config->train.batch_tokens, floor_seconds = bench_products_floor(&m->products);
  struct bench_row *row = bench_row_add(bench, "step", BENCH_TOKENS);
  row->model = m->config;
  row->dtype = m->model->dtype;
  row->rate = tokens / best;
  row->seconds = best;
  row->repeats = rounds;
  row->floor_rate = tokens / floor_seconds;
  row->floor_ratio = floor_seconds / bench_profile_best(&m->profile, NULL);
  row->whole_step_floor_ratio = floor_seconds / best;
  row->median_rate = tokens / times[rounds / 2];
  row->wall_rate = tokens / best_wall;
  row->peak_ratio = bench_model_flops(m) / best / bench->peak[row->dtype].flops;
  add_shares(bench, row, &m->profile);
  return true;
}

bool bench_step(struct bench *bench, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int count = 0;
  enum dtype dtype;
  bool fine = bench_dtype(bench, &dtype, error) && bench_models(bench, models, &count, error) &&
              bench_peak(bench, dtype, error);
  for (int i = 0; i < count && fine; i++) {
    bench_progress(bench, "step %lld x %lld, %s", (long long)models[i]->model.layers, (long long)models[i]->model.width,
                   models[i]->model.dtype);
    struct bench_model m;
    fine = bench_model_open(&m, bench, models[i], error) && step_rounds(&m, error);
    bench_model_close(&m);
  }
  return fine;
}

// ---- operations ----

// Seconds of the step's product over these rows; of part of one over more, where a layer takes some rows at a time.
static double rows_seconds(const struct bench_products *products, enum gemm_form form, int64_t rows, int64_t n,
                           int64_t k) {
  double seconds = bench_products_best(products, form, rows, n, k);
  for (int i = 0; i < products->count && isnan(seconds); i++) {
    const struct bench_product *p = &products->items[i];
    if (p->form == form && p->n == n && p->k == k && p->m > rows) seconds = p->best * (double)rows / (double)p->m;
  }
  return seconds;
}

// Seconds of the bare products of an operation; NAN where it has none.
static double products_seconds(const struct bench_call *c, const struct bench_products *products) {
  int64_t rows = c->size[0], outputs = c->size[1], inputs = c->size[2];
  double forward = rows_seconds(products, GEMM_NT, rows, outputs, inputs),
         input_gradient = rows_seconds(products, GEMM_NN, rows, inputs, outputs),
         weight_gradient = bench_products_best(products, GEMM_TN, outputs, inputs, rows);
  double heads = (double)(c->size[0] * c->size[1]);
  int64_t context = c->size[2], head_dim = c->size[3];
  double scores = heads * bench_products_best(products, GEMM_NT, context, context, head_dim),
         values = heads * bench_products_best(products, GEMM_NN, context, head_dim, context),
         gradients = heads * bench_products_best(products, GEMM_TN, context, head_dim, context);
  switch (c->op) {
    case BENCH_LINEAR_FORWARD:
      return forward;
    case BENCH_LINEAR_INPUT_GRADIENT:
      return input_gradient;
    case BENCH_LINEAR_WEIGHT_GRADIENT:
      return weight_gradient;
    case BENCH_HEAD_LOSS:
      return forward + input_gradient + weight_gradient;
    case BENCH_ATTENTION_FORWARD:
      return scores + values;
    case BENCH_ATTENTION_BACKWARD:
      return scores + values + 2 * gradients;
    default:
      return NAN;
  }
}

static const char *shape_text(struct bench *bench, const struct bench_call *c) {
  struct text text = {0};
  for (int i = 0; i < 4 && c->size[i]; i++) text_format(&text, "%s%lld", i ? "x" : "", (long long)c->size[i]);
  const char *kept = arena_format(&bench->arena, "%s", text_string(&text));
  text_free(&text);
  return kept;
}

// Whether a row speaks for this call: the first of its kind, and of calls that differ only in optional operands the one
// that moves most.
static bool speaks(const struct bench_profile *profile, size_t which) {
  const struct bench_call *c = &profile->calls[which];
  for (size_t i = 0; i < profile->count; i++) {
    const struct bench_call *other = &profile->calls[i];
    if (other->op != c->op || memcmp(other->size, c->size, sizeof c->size) != 0) continue;
    if (other->bytes > c->bytes || (other->bytes == c->bytes && i < which)) return false;
  }
  // What does nothing (a format's work, without a format) is no operation.
  return c->flops > 0 || c->bytes > 0;
}

static void op_row(struct bench_model *m, size_t which) {
  struct bench *bench = m->bench;
  struct bench_call c = m->profile.calls[which];
  enum dtype dtype = m->model->dtype;
  struct bench_row *row = bench_row_add(bench, bench_op_name(c.op), c.flops > 0 ? BENCH_GFLOPS : BENCH_GBYTES);
  for (size_t i = which; i < m->profile.count; i++) {
    const struct bench_call *other = &m->profile.calls[i];
    if (!bench_call_same(other, &c)) continue;
    c.best = fmin(c.best, other->best);
    row->repeats += other->repeats;
  }
  double work = c.flops > 0 ? c.flops : c.bytes;
  row->shape = shape_text(bench, &c);
  row->dtype = dtype;
  row->seconds = c.best;
  row->rate = work / c.best * 1e-9;
  row->peak_ratio = work / c.best / (c.flops > 0 ? bench->peak[dtype].flops : bench_bandwidth(bench, c.bytes));
  row->floor_ratio = bench_roofline(bench, dtype, c.flops, c.bytes) / c.best;
  row->products_ratio = products_seconds(&c, &m->products) / c.best;
}

static void op_rows(struct bench_model *m) {
  for (int op = 0; op < BENCH_MEMORY; op++)
    for (size_t i = 0; i < m->profile.count; i++)
      if (m->profile.calls[i].op == (enum bench_op)op && speaks(&m->profile, i)) op_row(m, i);
}

bool bench_ops(struct bench *bench, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int count;
  enum dtype dtype;
  if (!bench_dtype(bench, &dtype, error) || !bench_models(bench, models, &count, error) ||
      !bench_peak(bench, dtype, error))
    return false;
  // Of a ladder, the operations of its largest model.
  const struct run_config *config = models[count - 1];
  bench_progress(bench, "operations of a step of %lld x %lld, %s", (long long)config->model.layers,
                 (long long)config->model.width, config->model.dtype);
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.3, 2, 400} : (struct bench_budget){12, 5, 400};
  struct bench_model m;
  bool fine = bench_model_open(&m, bench, config, error);
  double began = bench_now(bench);
  for (int round = 0; fine && bench_again(&budget, round, bench_now(bench) - began); round++)
    fine = bench_model_step(&m, NULL, NULL, error) && bench_products_time(&m.products, error) &&
           bench_peak(bench, dtype, error);
  if (fine) op_rows(&m);
  bench_model_close(&m);
  return fine;
}
