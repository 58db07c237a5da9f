// Every operation of the ops table as a declared case: shapes and types, arguments and how they are filled, what the
// results are in double precision, the entries to call, and what these have to move and to multiply. Tests compare all
// backends and levels with it, check its gradients by finite differences, and `isoloss bench ops` times its passes. A
// new operation is its code and one entry of `operations`.
//
// A case is one operation at one shape in one type of activations. It holds the arguments' values as doubles, inputs as
// their type rounds them, so that whatever a backend does to the same numbers can be set against the reference.
#pragma once
#include "base/base.h"
#include "kernels/cpu/gemm.h"
#include "kernels/formats/format.h"
#include "kernels/ops.h"

#define CASE_ARGUMENTS 20
#define CASE_DIMENSIONS 6
#define CASE_WEIGHTS 2
#define CASE_PRODUCTS 4      // bare products of a pass
#define CASE_MODEL_SHAPES 4  // of an operation in one model

// What elements are in device memory. The first two are those of enum dtype.
enum case_type {
  CASE_FLOAT32,
  CASE_BFLOAT16,
  CASE_IDS,     // int32
  CASE_BYTES,   // uint8
  CASE_DOUBLE,  // double
  CASE_LOSS,    // one struct loss_sum: two values, nats and targets
};

struct argument {
  const char *name;
  enum case_type type;
  int64_t count;  // elements; 0: this case does without (a NULL pointer)
  bool result;
  // Inputs, and results that an operation adds to or changes (`kept`), are filled at random within (-scale, scale).
  double scale;
  bool kept;
  // Results. The root mean square of the difference from the reference is at most `tolerance` of the reference's, that
  // of one element at most 8 times as much of the largest. `cancelled` is allowed to each element besides: what float32
  // leaves where terms cancel each other.
  double tolerance, cancelled;
  int gradient_of;  // the input whose gradient it is (what `forward` returns being the loss), else -1
  int same_as;      // the result that has the same bits, else -1
  double *values;   // of an input; of a result what it should be (NULL without a reference)
  double *start;    // `kept` results: values before
  // Results whose way is known rounding by rounding have, for each element, the sum of the squares of all that bfloat16
  // rounds on the way to it, as large as it arrives there; else NULL. It replaces the tolerance in bfloat16.
  double *rounded_squares;
};

struct case_shape {
  int64_t size[CASE_DIMENSIONS];
  const char *format;  // of operations on formats
  bool large;          // too much work for finite differences
  bool slow;           // ... and for an emulated device
  bool only;           // in `dtype` alone
  enum dtype dtype;
};

struct op_case {
  const struct operation *operation;
  const struct case_shape *shape;
  const int64_t *size;
  enum dtype dtype;
  const struct format *format;  // parsed, or NULL
  struct weight_description weight[CASE_WEIGHTS];
  int count;
  struct argument arguments[CASE_ARGUMENTS];
  struct arena arena;
};

// A case on a device: its arguments in device memory, and what `prepare` made.
struct case_run {
  const struct op_case *c;
  const struct ops *ops;
  struct device *device;
  void *data[CASE_ARGUMENTS];
  void *workspace;
  struct weight *weight[CASE_WEIGHTS];
  void *weight_memory[CASE_WEIGHTS], *saved;
};

struct case_cost {
  double flops, bytes;  // strictly necessary ones: causal attention by half; each operand read or written once
};

// A bare matrix product that a pass has to do, `count` times.
struct case_product {
  enum gemm_form form;
  int64_t m, n, k;
  double count;
};

// A call, or a few that belong together: what is timed.
struct case_pass {
  const char *name;  // "rmsnorm backward"
  void (*run)(struct case_run *run);
  // What the pass costs on the run's device, all 0 where it has nothing to do there; NULL: not worth timing.
  struct case_cost (*cost)(const struct case_run *run);
  bool forward_only;  // runs in the workspace of a device that does not train
  // Its bare products, at most CASE_PRODUCTS; returns how many. NULL: it does not multiply matrices.
  int (*products)(const struct case_shape *shape, struct case_product *products);
};

// A model, for the shapes that a training step of it has.
struct case_model {
  int64_t sequences, context;  // rows = sequences * context
  int64_t width, hidden, vocabulary;
  int64_t heads, kv_heads, head_dim;
  int64_t parameters;
};

struct operation {
  const char *name;
  const char *sizes;  // what the numbers of a shape are: "rows, width"
  const struct case_shape *shapes;
  size_t shape_count;
  bool one_dtype;  // it has no activations: float32 alone
  enum op_kind kind;
  // For the workspace and for what a backend supports; NULL: needs none, goes anywhere.
  struct op_shape (*op_shape)(const struct op_case *c);
  bool (*there)(const struct ops *ops);  // whether the backend has it; NULL: all have
  void (*declare)(struct op_case *c);    // sets `arguments` and `weight`
  void (*adjust)(struct op_case *c);     // changes what they were filled with; may be NULL
  // The results in double precision: those of the forward pass, returning the loss; after it the gradients and all else
  // (may be NULL).
  double (*forward)(const struct op_case *c);
  void (*gradients)(const struct op_case *c);
  // What is there before the first pass, such as weights; may be NULL.
  bool (*prepare)(struct case_run *run, struct error *error);
  const struct case_pass *passes;
  size_t pass_count;
  void (*variants)(struct case_run *run);  // the other ways to call it (in place, without an operand); may be NULL
  // The shapes that a step of a model has, at most CASE_MODEL_SHAPES; returns how many. NULL: not timed.
  int (*of_model)(const struct case_model *model, struct case_shape *made);
};

extern const struct operation *const operations[];
extern const size_t operation_count;
const struct operation *operation_find(const char *name);  // NULL when there is none

// Makes the case, its arguments filled and its results computed. `reference` false, for timing: results have no values,
// and the numbers of a large argument repeat. False with an error when the shape's format is none. The caller frees it
// in any case.
bool case_make(struct op_case *c, const struct operation *operation, const struct case_shape *shape, enum dtype dtype,
               bool reference, struct error *error);
void case_free(struct op_case *c);
// "3x33", up to the last number that is not 0; it lives as long as the case, as the name does.
const char *case_shape_text(struct op_case *c);
// "rmsnorm 3x33 bfloat16"
const char *case_name(struct op_case *c);

// Whether the device takes the case's shape and type.
bool case_supported(const struct op_case *c, const struct ops *ops, const struct device *device);
// Brings the case into the device's memory and prepares it. What was made is released by case_run_close in any case.
bool case_run_open(struct case_run *run, const struct op_case *c, const struct ops *ops, struct device *device,
                   struct error *error);
void case_run_pass(struct case_run *run, size_t pass);
void case_run_close(struct case_run *run);
// A result as the device has it. False with the device's error, or when memory behind the argument was touched.
bool case_read(const struct case_run *run, int argument, double *values, struct error *error);

// ---- for the files of operations ----

#define CASE_COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline enum case_type case_type_of(enum dtype dtype) { return (enum case_type)dtype; }
static inline struct argument case_input(const char *name, enum case_type type, int64_t count, double scale) {
  return (struct argument){
      .name = name, .type = type, .count = count, .scale = scale, .gradient_of = -1, .same_as = -1};
}
static inline struct argument case_result(const char *name, enum case_type type, int64_t count, double tolerance) {
  return (struct argument){.name = name,
                           .type = type,
                           .count = count,
                           .result = true,
                           .tolerance = tolerance,
                           .gradient_of = -1,
                           .same_as = -1};
}
static inline struct argument case_gradient(const char *name, enum case_type type, int64_t count, double tolerance,
                                            int of) {
  struct argument made = case_result(name, type, count, tolerance);
  made.gradient_of = of;
  made.cancelled = 1e-7;
  return made;
}
// Of the same type and size as `other`, argument number `of`, and with the same bits.
static inline struct argument case_again(const char *name, struct argument other, int of) {
  other.name = name;
  other.gradient_of = -1;
  other.same_as = of;
  return other;
}
static inline int64_t case_model_rows(const struct case_model *model) { return model->sequences * model->context; }
static inline double *case_values(const struct op_case *c, int argument) { return c->arguments[argument].values; }
// Of results in the type of activations.
static inline double case_tolerance(const struct op_case *c) { return c->dtype == DTYPE_FLOAT32 ? 2e-6 : 4e-3; }
// `op_shape` of operations whose sizes are "rows, width", and "sequences, context, heads, kv_heads, head_dim".
struct op_shape case_rows_shape(const struct op_case *c);
struct op_shape case_heads_shape(const struct op_case *c);
int case_heads_of_model(const struct case_model *model, struct case_shape *made);  // `of_model` of the latter
// Of optimizers, whose first arguments are the gradients of two tensors (sizes 0 and 1) and their sum of squares: sets
// the sum, and returns what gradients are multiplied by, their scale and the clip factor. And the pass that sums.
enum { CASE_GRADIENTS, CASE_SQUARES = 2, CASE_TENSORS = 2 };
double case_gradient_factor(const struct op_case *c, double gradient_scale, double clip_norm);
int case_tensors(const struct op_case *c);  // 1 where the second is empty
void case_square_sum(struct case_run *run);
size_t case_type_bytes(enum case_type type);
double case_rounded(enum dtype dtype, double value);
// Makes weight number `which` of the case, and what its products keep.
bool case_weight(struct case_run *run, int which, struct error *error);
