// The table of operations on every instruction set level and by every library of matrix products that this CPU can run;
// and faults planted in an ops table, which it must catch.
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/isa.h"
#include "kernels/fast_dct.h"
#include "tests/kernels/case_check.h"

// A device for each level, with products by the library that it takes by itself; then one for each library.
struct place {
  char name[64];
  struct device *device;
  bool library;
};
static struct place places[ISA_LEVELS + GEMM_LIBRARIES];
static int place_count;
static const struct ops *ops;

static void place_open(enum isa_level isa, enum gemm_library library, bool named) {
  struct place *place = &places[place_count++];
  struct error error = {0};
  struct device_options options = {.threads = 1, .isa = isa_name(isa), .gemm = gemm_library_name(library)};
  snprintf(place->name, sizeof place->name, "%s", named ? gemm_library_name(library) : isa_name(isa));
  place->library = named;
  place->device = ops->open(&options, &error);
  if (!CHECK(place->device != NULL)) printf("# %s\n", error.text), exit(1);
}

static void places_open(void) {
  struct error error = {0};
  ops = ops_find("cpu", &error);
  for (enum isa_level isa = ISA_PORTABLE; isa < ISA_LEVELS; isa++)
    if (isa_available(isa))
      place_open(isa, GEMM_AUTO, false);
    else
      printf("# level %s: not on this CPU\n", isa_name(isa));
  for (enum gemm_library library = GEMM_REFERENCE; library < GEMM_AUTO; library++)
    if (gemm_library_available(library))
      place_open(isa_best(), library, true);
    else
      printf("# products %s: not on this CPU\n", gemm_library_name(library));
}

static bool multiplies(const struct operation *operation) {
  return operation->kind == OP_LINEAR || operation->kind == OP_HEAD || operation->kind == OP_ATTENTION;
}

static int checked_cases;

static void everywhere(struct checked_case *checked) {
  for (int i = 0; i < place_count; i++) {
    struct place *place = &places[i];
    if (place->library && (!checked->c.operation->op_shape || !multiplies(checked->c.operation))) continue;
    if (!case_supported(&checked->c, ops, place->device)) continue;
    checked_cases++;
    if (checked_case_run(checked, ops, place->device, place->name) != (COMPARED | DIFFERENTIATED)) check_failures++;
  }
}

static void run_operation(const struct operation *operation) {
  int before = checked_cases, failures = check_failures;
  each_case(operation, everywhere);
  CHECK(checked_cases > before);
  check_cases++;
  if (check_failures != failures) check_failed_cases++;
  printf("%sok %d - %s # %d runs\n", check_failures == failures ? "" : "not ", check_cases, operation->name,
         checked_cases - before);
}

// ---- planted faults ----

// Entries as they might be wrong: they call the right ones and spoil what these did.
static void no_d_residual(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                          const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                          float *d_residual_in, void *d_branch, float *d_scale) {
  ops->rmsnorm_backward(device, rows, width, dtype, residual, inverse_rms, scale, d_y, NULL, d_residual_in, d_branch,
                        d_scale);
}

static void last_row_missing(struct device *device, int64_t rows, int64_t width, int64_t vocabulary,
                             const int32_t *tokens, const float *d_residual, float *d_table) {
  ops->embedding_backward(device, rows - 1, width, vocabulary, tokens, d_residual, d_table);
}

static void never_adds(struct device *device, const struct linear *linear, const void *x, const void *saved,
                       const void *d_y, float *d_weight, bool accumulate) {
  ops->linear_weight_gradient(device, linear, x, saved, d_y, d_weight, false);
}

static void turned_forward(struct device *device, const struct attention *shape, const void *d_q, const void *d_k,
                           const void *d_v, const float *table, void *d_qkv) {
  ops->qkv_backward(device, shape, d_q, d_v, d_k, table, d_qkv);
}

static void mask_ignored(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                         const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                         bool accumulate) {
  ops->head_loss(device, head, x, targets, NULL, sum, row_nats, d_x, d_weight, accumulate);
}

static void gate_alone(struct device *device, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                       const void *d_y, void *d_gate_up, void *y) {
  ops->swiglu_backward(device, rows, width, dtype, gate_up, d_y, d_gate_up, y);
  ops->clear(device, (char *)d_gate_up + (size_t)((2 * rows - 1) * width) * dtype_bytes(dtype), dtype_bytes(dtype));
}

static void one_key_less(struct device *device, const struct attention *shape, const void *q, const void *k,
                         const void *v, const void *o, const float *log_sum, const void *d_o, void *d_q, void *d_k,
                         void *d_v) {
  ops->attention_backward(device, shape, q, k, v, o, log_sum, d_o, d_q, d_k, d_v);
  ops->clear(device, d_v, (size_t)shape->head_dim * dtype_bytes(shape->dtype));
}

static void no_clipping(struct device *device, const struct adamw *adamw, const struct optimizer_tensor *tensors,
                        int count, const double *square_sum) {
  struct adamw changed = *adamw;
  changed.clip_norm = 0;
  ops->adamw_step(device, &changed, tensors, count, NULL);
}

static void looks_ahead(struct device *device, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                        int count, const double *square_sum) {
  struct momentum changed = *momentum;
  changed.nesterov = !momentum->nesterov;
  ops->momentum_step(device, &changed, tensors, count, square_sum);
}

static void one_step_less(struct device *device, int64_t rows, int64_t columns, int steps, float *x) {
  ops->orthogonalize(device, rows, columns, steps - 1, x);
}

static void first_for_last(struct device *device, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                           enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis) {
  ops->dct_basis(device, rows, columns, rank, score, path, x, chosen, came_from, basis);
  ops->clear(device, chosen + rank - 1, sizeof *chosen);
}

static void wrong_form(struct device *device, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
                       const float *b, float *c, bool accumulate) {
  ops->product(device, form, m, n, k, a, b, c, false);
}

static void variance_as_it_was(struct device *device, int64_t rank, int64_t count, const float *rotation, double c1,
                               double c2, const float *m, const float *v, float *m_to, float *v_to) {
  ops->rotate_moments(device, rank, count, rotation, c1, c2, m, v, m_to, v_to);
  ops->copy(device, v_to, v, sizeof *v);
}

static void not_in_order(struct device *device, int64_t rank, int64_t side, float *x, const float *by, int32_t *order) {
  ops->orthonormalize(device, rank, side, x, NULL, NULL);
}

static void no_damping(struct device *device, int64_t n, float *x, double exponent, double damping) {
  ops->eigenvectors(device, n, x, exponent, 0);
}

static void never_pruned(struct device *device, const struct pruned_weight *weights, int count, int64_t step) {}

static void last_not_written(struct device *device, int64_t count, enum dtype from_dtype, const void *from,
                             enum dtype to_dtype, void *to) {
  ops->convert(device, count - 1, from_dtype, from, to_dtype, to);
}

static const struct ops *faulty;
static int caught;  // the modes in which some case failed

static void with_fault(struct checked_case *checked) {
  struct device *device = places[0].device;
  if (!case_supported(&checked->c, ops, device)) return;
  int modes = checked_case_run(checked, faulty, device, NULL);
  caught |= (COMPARED | DIFFERENTIATED) & ~modes;
}

static void planted(const char *operation, struct ops table, int modes) {
  faulty = &table;
  caught = 0;
  each_case(operation_find(operation), with_fault);
  if (!CHECK(caught == modes)) printf("# the fault in %s is caught in modes %d, not %d\n", operation, caught, modes);
}

static void faults_are_caught(void) {
  struct ops table = *ops;
#define PLANT(operation, entry, with, modes) table = *ops, table.entry = with, planted(operation, table, modes)
  int both = COMPARED | DIFFERENTIATED;
  PLANT("rmsnorm", rmsnorm_backward, no_d_residual, both);
  PLANT("embedding", embedding_backward, last_row_missing, both);
  PLANT("linear", linear_weight_gradient, never_adds, COMPARED);
  PLANT("qkv", qkv_backward, turned_forward, both);
  PLANT("head", head_loss, mask_ignored, both);
  PLANT("swiglu", swiglu_backward, gate_alone, both);
  PLANT("attention", attention_backward, one_key_less, both);
  PLANT("optimizer", adamw_step, no_clipping, COMPARED);
  PLANT("momentum", momentum_step, looks_ahead, COMPARED);
  PLANT("orthogonal", orthogonalize, one_step_less, COMPARED);
  PLANT("dct", dct_basis, first_for_last, COMPARED);
  if (fast_dct_present()) PLANT("fast dct", dct_basis, first_for_last, COMPARED);
  PLANT("matrices", product, wrong_form, COMPARED);
  PLANT("directions", rotate_moments, variance_as_it_was, COMPARED);
  PLANT("directions", orthonormalize, not_in_order, COMPARED);
  PLANT("directions", eigenvectors, no_damping, COMPARED);
  PLANT("pruning", weights_prune, never_pruned, COMPARED);
  PLANT("convert", convert, last_not_written, COMPARED);
}

int main(void) {
  places_open();
  for (size_t i = 0; i < operation_count; i++) run_operation(operations[i]);
  RUN(faults_are_caught);
  for (int i = 0; i < place_count; i++) ops->close(places[i].device);
  return check_end();
}
