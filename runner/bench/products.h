// Bare matrix products: the ones of a training step, and single ones, on plain row-major operands.
#pragma once
#include "runner/bench/bench.h"

struct bench_product {
  enum gemm_form form;
  int64_t m, n, k;
  enum dtype dtype;  // of the operands; the result is float32 for weight gradients, else the same
  double count;      // how often a step does it
  double best;       // seconds
  bool own;          // through our own library instead of oneDNN
};

struct bench_products {
  struct bench *bench;
  struct bench_product *items;
  int count;
  void *a, *b, *c;  // operands of the largest
};

// All products of one step of the model: for each linear layer and the head forward, input gradient and weight
// gradient; for attention two forward and four backward for each head and sequence, not causal.
bool bench_products_of_step(struct bench *bench, const struct run_config *model, struct bench_products *products,
                            struct error *error);
// Adds a product; one that is there already happens that much more often. `items` has room for it. All are of one
// dtype.
void bench_products_add(struct bench_products *products, enum gemm_form form, int64_t m, int64_t n, int64_t k,
                        enum dtype dtype, double count);
// Operands for `products->items`, which stay the caller's.
bool bench_products_open(struct bench *bench, struct bench_products *products, struct error *error);
void bench_products_close(struct bench_products *products);
// Runs every product a few times and keeps the best time of each.
bool bench_products_time(struct bench_products *products, struct error *error);
bool bench_product_time(struct bench_products *products, int which, struct error *error);  // the same with one
// Runs every product as often as a step does.
bool bench_products_pass(struct bench_products *products, struct error *error);
// Runs product number `which` once.
bool bench_product_run(struct bench_products *products, int which, struct error *error);
double bench_products_floor(const struct bench_products *products);  // seconds: the sum of count * best
// Number of the product of these sizes in this form; -1 when it is not among them.
int bench_products_find(const struct bench_products *products, enum gemm_form form, int64_t m, int64_t n, int64_t k);
// Seconds of the product of these sizes in this form; NAN when it is not among them.
double bench_products_best(const struct bench_products *products, enum gemm_form form, int64_t m, int64_t n, int64_t k);
double bench_product_flops(const struct bench_product *product);
double bench_product_bytes(const struct bench_product *product);  // operands and result, each once
