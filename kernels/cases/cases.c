// The table of operations, and cases made of it; see cases.h.
#include "kernels/cases/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "kernels/bfloat16.h"
#include "kernels/cases/operations.h"

const struct operation *const operations[] = {
    &operation_linear,
    &operation_norm,
    &operation_qkv,
    &operation_attention,
    &operation_cached_attention,
    &operation_swiglu,
    &operation_head,
    &operation_embedding,
    &operation_optimizer,
    &operation_convert,
    &operation_fill,
    &operation_weight_format,
    &operation_activation_format,
    &operation_pruning,
    &operation_momentum,
    &operation_orthogonal,
    &operation_dct,
    &operation_fast_dct,
    &operation_matrices,
    &operation_directions,
};
const size_t operation_count = CASE_COUNT_OF(operations);

const struct operation *operation_find(const char *name) {
  for (size_t i = 0; i < operation_count; i++)
    if (strcmp(operations[i]->name, name) == 0) return operations[i];
  return NULL;
}

size_t case_type_bytes(enum case_type type) {
  static const size_t bytes[] = {
      [CASE_FLOAT32] = 4, [CASE_BFLOAT16] = 2, [CASE_IDS] = 4, [CASE_BYTES] = 1, [CASE_DOUBLE] = 8, [CASE_LOSS] = 8};
  return bytes[type];
}

double case_rounded(enum dtype dtype, double value) {
  return dtype == DTYPE_FLOAT32 ? (float)value : bfloat16_value(bfloat16_nearest((float)value));
}

// ---- making ----

// As its type holds it.
static double held(enum case_type type, double value) {
  return type <= CASE_BFLOAT16 ? case_rounded((enum dtype)type, value) : value;
}

// Uniform in (-scale, scale), by the argument's place and the number of elements: the same case has the same numbers.
// From `period` on they repeat.
static void fill(const struct argument *argument, int place, int64_t period, double *to) {
  for (int64_t i = 0; i < argument->count; i++) {
    if (i >= period) {
      to[i] = to[i - period];
      continue;
    }
    double uniform = random_uniform((uint64_t)argument->count, RANDOM_STREAM_MONTE_CARLO, (uint64_t)place, (uint64_t)i);
    to[i] = held(argument->type, argument->scale * (2 * uniform - 1));
  }
}

bool case_make(struct op_case *c, const struct operation *operation, const struct case_shape *shape, enum dtype dtype,
               bool reference, struct error *error) {
  *c = (struct op_case){.operation = operation, .shape = shape, .size = shape->size, .dtype = dtype};
  if (shape->format && !(c->format = format_parse(shape->format, &c->arena, error))) return false;
  operation->declare(c);
  for (int i = 0; i < c->count; i++) {
    struct argument *a = &c->arguments[i];
    if (!a->result || reference) a->values = arena_array(&c->arena, (size_t)a->count + 1, sizeof *a->values);
    if (a->kept) a->start = arena_array(&c->arena, (size_t)a->count + 1, sizeof *a->start);
    double *filled = a->kept ? a->start : a->values;
    if (a->scale > 0) fill(a, i, reference ? a->count : 1 << 16, filled);
  }
  if (operation->adjust) operation->adjust(c);
  for (int i = 0; i < c->count; i++) {
    struct argument *a = &c->arguments[i];
    double *filled = a->kept ? a->start : a->values;
    for (int64_t k = 0; k < a->count && filled; k++) filled[k] = held(a->type, filled[k]);
  }
  if (!reference) return true;
  operation->forward(c);
  if (operation->gradients) operation->gradients(c);
  for (int i = 0; i < c->count; i++) {
    const struct argument *a = &c->arguments[i];
    if (a->same_as < 0) continue;
    memcpy(a->values, c->arguments[a->same_as].values, (size_t)a->count * sizeof *a->values);
  }
  return true;
}

void case_free(struct op_case *c) { arena_free(&c->arena); }

const char *case_shape_text(struct op_case *c) {
  struct text text = {0};
  for (int i = 0; i < CASE_DIMENSIONS && c->size[i]; i++)
    text_format(&text, "%s%lld", i ? "x" : "", (long long)c->size[i]);
  const char *kept = arena_string(&c->arena, text_string(&text));
  text_free(&text);
  return kept;
}

const char *case_name(struct op_case *c) {
  const char *format = c->shape->format;
  return arena_format(&c->arena, "%s %s %s%s%s", c->operation->name, case_shape_text(c), dtype_name(c->dtype),
                      format ? " " : "", format ? format : "");
}

double case_gradient_factor(const struct op_case *c, double gradient_scale, double clip_norm) {
  double squares = 0;
  for (int t = 0; t < CASE_TENSORS; t++)
    for (int64_t i = 0; i < c->size[t]; i++)
      squares += case_values(c, CASE_GRADIENTS + t)[i] * case_values(c, CASE_GRADIENTS + t)[i];
  case_values(c, CASE_SQUARES)[0] = squares;
  double norm = gradient_scale * sqrt(squares);
  return gradient_scale * (clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1);
}

int case_tensors(const struct op_case *c) { return c->size[1] ? CASE_TENSORS : 1; }

void case_square_sum(struct case_run *run) {
  struct tensor_span spans[CASE_TENSORS];
  for (int t = 0; t < CASE_TENSORS; t++)
    spans[t] = (struct tensor_span){run->data[CASE_GRADIENTS + t], run->c->size[t]};
  run->ops->square_sum(run->device, spans, case_tensors(run->c), run->data[CASE_SQUARES]);
}

struct op_shape case_rows_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0], .width = c->size[1], .dtype = c->dtype, .training = true};
}

struct op_shape case_heads_shape(const struct op_case *c) {
  return (struct op_shape){.rows = c->size[0] * c->size[1],
                           .context = c->size[1],
                           .heads = c->size[2],
                           .kv_heads = c->size[3],
                           .head_dim = c->size[4],
                           .dtype = c->dtype,
                           .training = true};
}

int case_heads_of_model(const struct case_model *m, struct case_shape *made) {
  made[0] = (struct case_shape){{m->sequences, m->context, m->heads, m->kv_heads, m->head_dim}};
  return 1;
}

// ---- on a device ----

#define GUARD 64  // bytes behind each argument
#define PATTERN 0x7E

// Values as the type has them in memory.
static void to_memory(enum case_type type, int64_t count, const double *values, void *memory) {
  for (int64_t i = 0; i < count; i++) switch (type) {
      case CASE_FLOAT32:
        ((float *)memory)[i] = (float)values[i];
        break;
      case CASE_BFLOAT16:
        ((uint16_t *)memory)[i] = bfloat16_nearest((float)values[i]);
        break;
      case CASE_IDS:
        ((int32_t *)memory)[i] = (int32_t)values[i];
        break;
      case CASE_BYTES:
        ((uint8_t *)memory)[i] = (uint8_t)values[i];
        break;
      case CASE_DOUBLE:
        ((double *)memory)[i] = values[i];
        break;
      case CASE_LOSS:
        if (i == 0) *(struct loss_sum *)memory = (struct loss_sum){values[0], (int64_t)values[1]};
    }
}

static void from_memory(enum case_type type, int64_t count, const void *memory, double *values) {
  for (int64_t i = 0; i < count; i++) switch (type) {
      case CASE_FLOAT32:
        values[i] = ((const float *)memory)[i];
        break;
      case CASE_BFLOAT16:
        values[i] = bfloat16_value(((const uint16_t *)memory)[i]);
        break;
      case CASE_IDS:
        values[i] = ((const int32_t *)memory)[i];
        break;
      case CASE_BYTES:
        values[i] = ((const uint8_t *)memory)[i];
        break;
      case CASE_DOUBLE:
        values[i] = ((const double *)memory)[i];
        break;
      case CASE_LOSS:
        values[i] =
            i == 0 ? ((const struct loss_sum *)memory)->nats : (double)((const struct loss_sum *)memory)->targets;
    }
}

bool case_supported(const struct op_case *c, const struct ops *ops, const struct device *device) {
  struct error why = {0};
  if (!ops->dtype_supported(device, c->dtype) || (c->operation->there && !c->operation->there(ops))) return false;
  if (!c->operation->op_shape) return true;
  struct op_shape shape = c->operation->op_shape(c);
  return ops->shape_supported(device, c->operation->kind, &shape, &why);
}

static bool upload(struct case_run *run, int place, struct error *error) {
  const struct argument *a = &run->c->arguments[place];
  if (!a->count) return true;
  size_t bytes = (size_t)a->count * case_type_bytes(a->type);
  char *host = memory_get(bytes + GUARD);
  memset(host, PATTERN, bytes + GUARD);  // what a result is not written with stays odd
  if (!a->result || a->kept) to_memory(a->type, a->count, a->kept ? a->start : a->values, host);
  run->data[place] = run->ops->allocate(run->device, bytes + GUARD, error);
  if (run->data[place]) run->ops->upload(run->device, run->data[place], host, bytes + GUARD);
  free(host);
  return run->data[place] != NULL;
}

static bool workspace(struct case_run *run, struct error *error) {
  const struct operation *operation = run->c->operation;
  if (!operation->op_shape) return true;
  struct op_shape shape = operation->op_shape(run->c);
  size_t bytes = run->ops->workspace_bytes(run->device, operation->kind, &shape);
  run->workspace = run->ops->allocate(run->device, bytes, error);
  return run->workspace != NULL;
}

// Gives the device exactly the workspace that it says the pass needs.
static void take_workspace(struct case_run *run, bool training) {
  const struct operation *operation = run->c->operation;
  if (!operation->op_shape) return;
  struct op_shape shape = operation->op_shape(run->c);
  shape.training = training;
  run->ops->set_workspace(run->device, run->workspace, run->ops->workspace_bytes(run->device, operation->kind, &shape));
}

bool case_run_open(struct case_run *run, const struct op_case *c, const struct ops *ops, struct device *device,
                   struct error *error) {
  *run = (struct case_run){.c = c, .ops = ops, .device = device};
  for (int i = 0; i < c->count; i++)
    if (!upload(run, i, error)) return false;
  if (!workspace(run, error)) return false;
  take_workspace(run, true);
  return !c->operation->prepare || c->operation->prepare(run, error);
}

void case_run_pass(struct case_run *run, size_t pass) {
  const struct operation *operation = run->c->operation;
  if (pass == operation->pass_count) {
    take_workspace(run, true);
    if (operation->variants) operation->variants(run);
    return;
  }
  take_workspace(run, !operation->passes[pass].forward_only);
  operation->passes[pass].run(run);
}

void case_run_close(struct case_run *run) {
  struct error ignored = {0};
  run->ops->synchronize(run->device, &ignored);
  for (int i = 0; i < CASE_WEIGHTS; i++) {
    if (run->weight[i]) run->ops->weight_free(run->device, run->weight[i]);
    if (run->weight_memory[i]) run->ops->free(run->device, run->weight_memory[i]);
  }
  for (int i = 0; i < run->c->count; i++)
    if (run->data[i]) run->ops->free(run->device, run->data[i]);
  if (run->saved) run->ops->free(run->device, run->saved);
  if (run->workspace) run->ops->free(run->device, run->workspace);
}

bool case_read(const struct case_run *run, int argument, double *values, struct error *error) {
  const struct argument *a = &run->c->arguments[argument];
  size_t bytes = (size_t)a->count * case_type_bytes(a->type);
  char *host = memory_get(bytes + GUARD);
  bool fine = run->ops->download(run->device, host, run->data[argument], bytes + GUARD, error);
  if (fine) from_memory(a->type, a->count, host, values);
  for (size_t i = 0; i < GUARD && fine; i++)
    if (host[bytes + i] != PATTERN) fine = error_set(error, EXIT_ENVIRONMENT, "memory behind it was touched");
  free(host);
  return fine;
}

bool case_weight(struct case_run *run, int which, struct error *error) {
  const struct ops *ops = run->ops;
  const struct weight_description *description = &run->c->weight[which];
  run->weight_memory[which] = ops->allocate(run->device, ops->weight_bytes(run->device, description) + 1, error);
  if (!run->weight_memory[which]) return false;
  run->weight[which] = ops->weight_create(run->device, description, run->weight_memory[which], error);
  size_t saved = ops->linear_saved_bytes(run->device, description, run->c->size[0]);
  if (saved && !run->saved) run->saved = ops->allocate(run->device, saved, error);
  return run->weight[which] && (!saved || run->saved);
}
