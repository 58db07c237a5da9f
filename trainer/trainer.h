// The public face of trainer/: trains a Llama-type decoder as a run's config.json says and writes what happens as
// events (docs/events.md) and checkpoints (docs/checkpoints.md) into the run's folder. The program isoloss-train is a
// thin command line over these functions; `isoloss plan` asks for the memory, `isoloss bench` uses trainer/model.h.
#pragma once
#include <signal.h>
#include <stdint.h>

#include "base/base.h"
#include "kernels/ops.h"
#include "trainer/config.h"
#include "trainer/data/corpus.h"

// Bytes that a training of this configuration holds at once, by what they are for. All of it is allocated before the
// first step and nothing large after it, so that a run that starts also ends.
struct memory_plan {
  int64_t parameters;   // master weights
  int64_t gradients;    // the same again
  int64_t moments;      // the optimizer's state (optimizer_state_bytes)
  int64_t prepared;     // weights in the layout (and type) that the matrix products want
  int64_t activations;  // kept from forward to backward, and their gradients
  int64_t workspace;    // scratch of the operations
  int64_t batch;        // tokens, targets and masks of a micro-batch; in the machine's memory
  int64_t average;      // the sum of averaged checkpoints (train.average), in the machine's memory too
  int64_t exchange;  // gradients of simulated workers, and a matrix's moments in a format; in the machine's memory too
  int64_t total;
};

// Opens a device for `auto`; where it cannot be used although the machine has one, one line on standard error says why.
bool trainer_device_try(const struct ops *ops, const struct device_options *options, struct device **device);
// Opens the device that model.device names: auto (a GPU where this build and this machine have one, else the CPU), cpu,
// cuda, cuda:N. The caller closes it with (*ops)->close.
bool trainer_device_open(const char *name, int64_t threads, const struct ops **ops, struct device **device,
                         struct error *error);
// The same for arithmetic about a device that need not be there: for `cuda` and `cuda:N` a table that can only say what
// shapes it takes and how much memory they need, with no device (*device NULL, nothing to close); else as above.
bool trainer_device_plan(const char *name, int64_t threads, const struct ops **ops, struct device **device,
                         struct error *error);
// What model.dtype auto means there: "bfloat16" where its products run and are faster than in float32, else "float32".
const char *trainer_dtype(const struct ops *ops, const struct device *device);

// The memory of a resolved configuration on an opened device: arithmetic only, fit for planning large grids.
struct memory_plan trainer_memory(const struct ops *ops, const struct device *device,
                                  const struct run_config *resolved);
// Whether the device's kernels take the shapes and the format of this configuration; the error names what is allowed.
// Whether this build has the optional libraries that a resolved configuration asks for; the error names the field.
bool trainer_has_libraries(const struct run_config *resolved, struct error *error);
bool trainer_supported(const struct ops *ops, const struct device *device, const struct run_config *resolved,
                       struct error *error);
// What a process needs besides its plan: on a GPU of the GPU's memory, else of the machine's.
int64_t trainer_process_bytes(const struct ops *ops);
// A way to train the same run in no more than `limit` bytes (the plan's total and the process's), by what costs least:
// smaller micro-batches, then recomputation, then both. False when none is small enough; *accumulation and *recompute
// are then the smallest there is.
struct memory_advice {
  int64_t accumulation;
  const char *recompute;  // one of train.recompute's words
  int64_t total;          // bytes, the process included
};
bool trainer_memory_advice(const struct ops *ops, const struct device *device, const struct run_config *resolved,
                           int64_t limit, struct memory_advice *advice);
// The total, on the device that the configuration names (opened for the question); -1 and an error when it cannot be.
int64_t trainer_memory_bytes(const struct run_config *resolved, struct error *error);

struct trainer_options {
  const char *config_path;            // RUN/config.json; the run's folder is the one it is in
  int64_t stop_after;                 // stop, as a signal would, once this many steps of the run are done; 0: never
  volatile sig_atomic_t *stop_asked;  // set by a signal handler: finish the step, write a checkpoint, stop; or NULL
};

// Trains the run, from its newest good checkpoint when there is one, to its end. Progress goes to RUN/events.jsonl,
// messages for people to standard error. Returns the exit code of isoloss-train:
//   EXIT_DONE         the run has its end: `done` or `diverged` is in the log (also when it did before)
//   EXIT_RUNS_FAILED  stopped on request (`stopped` in the log): start again to go on
//   EXIT_USAGE_ERROR, EXIT_ENVIRONMENT  could not start or go on; the error says why, and `failed` is in the log
//                     when the log itself could be written
enum exit_code trainer_run(const struct trainer_options *options, struct error *error);

// The final evaluation of a run (same tokens, same order, same arithmetic) on a checkpoint's weights.
struct evaluation {
  double loss;           // mean natural-log cross-entropy per unmasked target
  double bits_per_byte;  // NAN where the corpus has no bytes
  double oracle_loss;    // the source's own loss on the very same targets, NAN where it cannot tell
  int64_t tokens, targets;
  int parts;                            // of a mixture: its sources, in the order of corpus.mixture; else 0
  double part_loss[CORPUS_MOST_PARTS];  // the same loss of each one's windows, NAN where none were among these
};
struct evaluate_options {
  const char *config_path;    // the run's config.json; NULL: `weights` is a folder in Hugging Face's layout
  const char *weights;        // folder of the weights
  const char *corpus_folder;  // another prepared corpus (NULL: the run's own; a folder without a run needs one)
  int64_t tokens;             // validation tokens; 0: the run's train.final_eval_tokens
  int64_t context;            // of a folder without a run; 0: the longest that the model takes
  int64_t suite_tokens;       // of each suite (trainer/data/suites.h); 0: none
  int64_t suite_symbols;      // 0: corpus.suites_symbols
};
struct suite_evaluation {
  const char *name;
  double accuracy, standard_error, chance;
  int64_t answers;
};
struct saved_evaluation {
  struct evaluation on_text;
  struct suite_evaluation suites[4];
  int suite_count;
  bool tokenizer_same;  // of a folder without a run: compared and equal; false: not known
  char tokenizer[200];  // ... in words; "" of a run
};
// The corpus' tokens must be of the model's tokenizer: that of a run is compared, that of a folder where it has one
// that can be, else a notice says that it is not known.
bool trainer_evaluate(const struct evaluate_options *options, struct saved_evaluation *result, struct error *error);

// Writes the model of a checkpoint into `folder`, which must not be there yet, for other programs: what the run
// evaluates by, its matrices represented by the format (or the masters), with Hugging Face's files next to them; and
// EXPORT_RUN_FILE, a configuration under which trainer_evaluate gives the run's loss for this folder. Notices on
// standard error say what is left out.
#define EXPORT_RUN_FILE "isoloss.json"
bool trainer_export(const char *config_path, const char *checkpoint_folder, const char *folder, bool masters,
                    struct error *error);

struct generate_options {
  const char *prompt;  // NULL: the beginning of a document
  int64_t count;       // tokens at most
  double temperature;  // 0: the likeliest token
  int64_t top;         // only among so many likeliest ones; 0: all
  uint64_t seed;
};
// Appends text that the model of a checkpoint writes after the prompt, up to the end of a document.
bool trainer_generate(const char *config_path, const char *checkpoint_folder, const struct generate_options *options,
                      struct text *out, struct error *error);

// For comparison with other implementations: writes into `folder` (made) the weights of a checkpoint, or the run's
// initial ones when `checkpoint_folder` is NULL, as model.safetensors and config.json; the first training batch as
// batch.safetensors (inputs and targets I32, mask U8 where there is one, [sequences, context], and the mean loss as
// F64); and the gradient of that loss, unclipped, as gradients.safetensors under the weights' names.
bool trainer_dump_gradients(const char *config_path, const char *checkpoint_folder, const char *folder,
                            struct error *error);
