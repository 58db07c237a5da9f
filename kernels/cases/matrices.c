// What optimizers' steps on single matrices are made of: products of all forms, one matrix mixed into another, rows and
// columns in another order.
#include "kernels/cases/operations.h"

enum { A, B, ORDER, NT, NN, TN, MIXED, SCALED, BY_ROW, BY_COLUMN, COUNT };

// m, n, k of the products; A is m x k or k x m, B n x k or k x n.
static const struct case_shape shapes[] = {{{16, 48, 8}}, {{33, 7, 20}}, {{1, 5, 3}}, {{40, 24, 40}}};

static const float keep = 0.75f, share = -1.5f;

static void declare(struct op_case *c) {
  int64_t m = c->size[0], n = c->size[1], k = c->size[2];
  struct argument *a = c->arguments;
  c->count = COUNT;
  a[A] = case_input("a", CASE_FLOAT32, m * k, 1);
  a[B] = case_input("b", CASE_FLOAT32, n * k, 1);
  a[ORDER] = case_input("order", CASE_IDS, m > k ? m : k, 0);
  a[NT] = case_result("nt", CASE_FLOAT32, m * n, 2e-6);
  a[NN] = case_result("nn", CASE_FLOAT32, m * n, 2e-6);
  a[TN] = case_result("tn", CASE_FLOAT32, m * n, 2e-6);
  a[MIXED] = case_result("mixed", CASE_FLOAT32, m * k, 1e-6);
  a[SCALED] = case_result("scaled", CASE_FLOAT32, m * k, 1e-6);
  a[BY_ROW] = case_result("rows", CASE_FLOAT32, m * k, 0);
  a[BY_COLUMN] = case_result("columns", CASE_FLOAT32, m * k, 0);
  a[TN].kept = a[MIXED].kept = true;
  a[TN].scale = a[MIXED].scale = 1;
}

// The same order serves rows and columns: below the smaller of them, some twice, every fourth from nowhere.
static void adjust(struct op_case *c) {
  int64_t least = c->size[0] < c->size[2] ? c->size[0] : c->size[2];
  for (int64_t i = 0; i < c->arguments[ORDER].count; i++)
    case_values(c, ORDER)[i] = i % 4 == 3 ? -1 : (double)(i * 7 % least);
}

static double forward(const struct op_case *c) {
  int64_t m = c->size[0], n = c->size[1], k = c->size[2];
  const double *a = case_values(c, A), *b = case_values(c, B), *order = case_values(c, ORDER);
  for (int64_t at = 0; at < m * n; at++) {
    int64_t i = at / n, j = at % n;
    double nt = 0, nn = 0, tn = 0;
    for (int64_t l = 0; l < k; l++) {
      nt += a[i * k + l] * b[j * k + l];
      nn += a[i * k + l] * b[l * n + j];
      tn += a[l * m + i] * b[l * n + j];
    }
    case_values(c, NT)[at] = nt;
    case_values(c, NN)[at] = nn;
    case_values(c, TN)[at] = c->arguments[TN].start[at] + tn;
  }
  for (int64_t at = 0; at < m * k; at++) {
    int64_t row = (int64_t)order[at / k], column = (int64_t)order[at % k];
    case_values(c, MIXED)[at] = keep * c->arguments[MIXED].start[at] + share * a[at];
    case_values(c, SCALED)[at] = share * a[at];
    case_values(c, BY_ROW)[at] = row < 0 ? 0 : a[row * k + at % k];
    case_values(c, BY_COLUMN)[at] = column < 0 ? 0 : a[at / k * k + column];
  }
  return 0;
}

static void run_products(struct case_run *run) {
  int64_t m = run->c->size[0], n = run->c->size[1], k = run->c->size[2];
  void *const *d = run->data;
  run->ops->product(run->device, GEMM_NT, m, n, k, d[A], d[B], d[NT], false);
  run->ops->product(run->device, GEMM_NN, m, n, k, d[A], d[B], d[NN], false);
  run->ops->product(run->device, GEMM_TN, m, n, k, d[A], d[B], d[TN], true);
}

static void run_mix(struct case_run *run) {
  int64_t count = run->c->arguments[A].count;
  run->ops->mix(run->device, count, run->data[MIXED], keep, run->data[A], share);
  run->ops->mix(run->device, count, run->data[SCALED], 0, run->data[A], share);
}

static void run_gather(struct case_run *run) {
  int64_t m = run->c->size[0], k = run->c->size[2];
  void *const *d = run->data;
  run->ops->gather(run->device, m, k, false, d[ORDER], d[A], d[BY_ROW]);
  run->ops->gather(run->device, m, k, true, d[ORDER], d[A], d[BY_COLUMN]);
}

static const struct case_pass passes[] = {{"products of three forms", run_products, NULL, false, NULL},
                                          {"mix", run_mix, NULL, false, NULL},
                                          {"gather", run_gather, NULL, false, NULL}};

const struct operation operation_matrices = {.name = "matrices",
                                             .sizes = "m, n, k",
                                             .shapes = shapes,
                                             .shape_count = CASE_COUNT_OF(shapes),
                                             .one_dtype = true,
                                             .declare = declare,
                                             .adjust = adjust,
                                             .forward = forward,
                                             .passes = passes,
                                             .pass_count = CASE_COUNT_OF(passes)};
