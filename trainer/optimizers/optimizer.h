// The optimizers: a file each and an entry of `optimizers`. What a spec may say of one, the state that it keeps, and
// its step, which is made of entries of the ops table alone and so runs on every backend. docs/optimizers.md says how
// to add one.
#pragma once
#include "kernels/ops.h"
#include "trainer/config.h"

// A run field that an optimizer reads, which is auto in the table of fields: what auto means to it, and which values it
// takes. low and high both 0: those of the field.
struct optimizer_setting {
  const char *path, *fallback;
  double low, high;
};
#define OPTIMIZER_SETTINGS 11

// The parameters that an array of state has an element for.
enum state_extent {
  STATE_NONE,      // there is no such array
  STATE_ALL,       // each of them, in the order of the parameters
  STATE_REST,      // each that is not of the blocks' matrices, in that order
  STATE_MATRICES,  // none: for each of the blocks' matrices, in order, what the optimizer's matrix_state says
};
// m and v, of the type train.optimizer_state, and one in words of four bytes.
enum { STATE_M, STATE_V, STATE_OF_MATRICES, STATE_ARRAYS };
struct optimizer_state {
  enum state_extent extent[STATE_ARRAYS];
};

// One of the blocks' matrices by itself. Its gradient may be overwritten: `direction` is its place.
struct optimizer_matrix {
  struct optimizer_tensor tensor;
  int64_t rows, columns;
  float *state;  // matrix_state floats, NULL where there are none
};

// All that a step is made of. The gradients are finished, their sum of squares is taken.
struct optimizer_step {
  const struct ops *ops;
  struct device *device;
  const struct run_config *config;
  double lr;
  int64_t step;              // 1 for the first
  const double *square_sum;  // in device memory
  // Every parameter, in ranges of the parameters' order that differ in whether they decay and in the type of masters:
  // embedding, norms and learned scales; the blocks' matrices; the head. m and v as the optimizer's state has them.
  const struct optimizer_tensor *ranges;
  int range_count, blocks_range;            // number of the range of the blocks' matrices
  const struct optimizer_matrix *matrices;  // the same one by one
  int matrix_count;
  float *scratch;  // in device memory, optimizer_step_scratch_bytes
};

struct optimizer {
  const char *name;
  struct optimizer_setting settings[OPTIMIZER_SETTINGS];  // up to the first without a path
  bool by_matrix;  // it moves a matrix as one, every element of it whatever its own gradient is
  struct optimizer_state (*state)(const struct run_config *config);
  void (*step)(const struct optimizer_step *step);
  // Of optimizers by matrix, in words of four bytes: what the state has for one matrix (STATE_MATRICES), and the
  // scratch that one takes. NULL: none.
  int64_t (*matrix_state)(const struct run_config *config, int64_t rows, int64_t columns);
  int64_t (*matrix_scratch)(const struct run_config *config, int64_t rows, int64_t columns);
  // Whether steps differ from each other in the entries that they call, or work on the host, so that no backend may
  // repeat one as it was. NULL: they do not.
  bool (*irregular)(const struct run_config *config);
  bool by_lapack;  // its results depend on LAPACK, whose name and version are recorded
};

extern const struct optimizer optimizer_adamw, optimizer_sgd, optimizer_lion, optimizer_muon, optimizer_normuon,
    optimizer_soap, optimizer_shampoo, optimizer_ldadam, optimizer_dct_adamw, optimizer_trion;
extern const struct optimizer *const optimizers[];  // ends with NULL
// The configuration's, whose name is one of the table of fields and so of this one.
const struct optimizer *optimizer_of(const struct run_config *config);

// Whether a run field of this path is a setting of some optimizer.
bool optimizer_has_setting(const char *path);
// Whether the configuration's optimizer reads a run field: true of all fields that are no optimizer's setting.
bool optimizer_reads(const struct run_config *config, const struct run_field *field);
// Fills the settings that the configuration's optimizer reads, where they are auto, and leaves auto those that it does
// not read. An error is about one of the latter that was set, or about a value that the optimizer does not take.
bool optimizer_resolve(struct run_config *config, struct error *error);
// The path of a field that the configuration's optimizer reads and that is auto still; NULL: it is resolved.
const char *optimizer_unresolved(const struct run_config *config);

// Whether train.dct is fast, for which KISS FFT is needed, whatever the sizes (kernels/fast_dct.h).
bool optimizer_transforms(const struct run_config *config);

// Whether the configuration's optimizer goes with the format of a training; the error says which do.
bool optimizer_takes(const struct run_config *config, const struct format *format, struct error *error);

// Of a resolved configuration. The elements of an array of the state, its bytes, rounded up to DEVICE_ALIGNMENT, and
// the bytes of all of them.
int64_t optimizer_elements(const struct run_config *config, int array);
int64_t optimizer_array_bytes(const struct run_config *config, int array);
int64_t optimizer_state_bytes(const struct run_config *config);
// Device memory that a step takes besides the state: for the largest matrix.
int64_t optimizer_step_scratch_bytes(const struct run_config *config);
// Words of the state of all matrices before the one at that place in their order.
int64_t optimizer_matrix_offset(const struct run_config *config, int matrix);

// The blocks' matrices of one layer, in order: query, key, value, attention output, gate, up, down.
#define OPTIMIZER_MATRICES 7
struct matrix_size {
  int64_t rows, columns;
};
void optimizer_matrix_sizes(const struct run_config *config, struct matrix_size sizes[OPTIMIZER_MATRICES]);
