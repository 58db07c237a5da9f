// A run under way, shared by the files that set it up (setup.c), report on it (report.c) and train it (train.c).
#pragma once
#include "trainer/checkpoint.h"
#include "trainer/data/corpus.h"
#include "trainer/data/selection.h"
#include "trainer/evaluation.h"
#include "trainer/events.h"
#include "trainer/model.h"
#include "trainer/trainer.h"

// A step whose results may still be on the device.
struct pending_step {
  int64_t step, tokens, targets;  // done after it
  double lr;
};

struct training {
  struct arena arena;
  struct run_file file;
  const char *run_folder;
  struct event_log log;
  const struct ops *ops;
  struct device *device;
  double product_peak;  // FLOP/s of the device's matrix products in the run's dtype, measured as it began; 0: not
  struct model *model;
  struct corpus *corpus;
  struct selection selection;  // of its windows, where a stage of the chain chose them
  struct corpus_facts facts;
  struct batch_memory batch;  // one whole step, or one evaluation's micro-batch
  struct digest identity;     // what a checkpoint must have been written under
  int64_t steps;              // of the whole run
  int64_t *evaluations;       // updates done after which to evaluate
  size_t evaluation_count;
  double oracle_loss;  // on the windows of an evaluation during training; NAN: unknown or none

  // Of a run that begins from another's checkpoint, or whose checkpoints others begin from (trunk_training.c).
  int64_t trunk_step;  // after which this worker began from the trunk; 0: it did not
  struct text trunk_events;
  int64_t *branch_steps;        // [file.branch_count] after which a checkpoint is kept for another run
  int64_t *branch_evaluations;  // updates after which other runs evaluate, rising, each once
  size_t branch_evaluation_count;

  struct checkpoint_state done;  // where the run is
  int64_t checkpointed;          // step of the newest checkpoint, 0: none
  int64_t resumed_from;
  double clock_start;       // of this worker, less the seconds before it
  double seconds_outside;   // of these, in evaluations and checkpoints
  double reported_seconds;  // train_seconds and tokens at the last step event
  int64_t reported_tokens;

  struct pending_step pending[MODEL_LOSS_SLOTS];
  int pending_count;
  struct pending_step last;  // the newest whose results are here
  double last_loss, last_norm;
  bool stalling_said;  // that the gradient is below what the format's noise leaves of it
};

// Everything up to the first step: configuration, log, device, corpus, model, and the newest usable checkpoint, or
// initial weights; the log is cut back to it and `start` is in it. *finished: the log already has the run's end,
// and there is nothing to do.
bool training_open(struct training *training, const char *config_path, bool *finished, struct error *error);
// The first part of it: the run's file, its folder, and its log, locked.
bool training_open_log(struct training *training, const char *config_path, bool *finished, struct error *error);
void training_close(struct training *training);

// Opens device and corpus of a run file.
bool training_open_device(struct training *training, struct error *error);
// Opens device, corpus and model of a run file (for training and for evaluation alone).
bool training_open_model(struct training *training, enum model_use use, struct error *error);
// What files say of the model: the run, the tokenizer's end token.
void training_name_origin(struct training *training);

// ---- trunk_training.c ----

#define TRUNK_EVALUATION "branch_eval"  // the event of an evaluation for others

// What the run does for those that branch off from it.
void trunk_prepare(struct training *training);
bool trunk_is_branch_step(const struct training *training, int64_t step);
// Whether those evaluate after this step; and what the run does for them where it does not do so itself.
bool trunk_is_evaluation(const struct training *training, int64_t step);
bool trunk_evaluate(struct training *training, struct error *error);
// Loads the checkpoint of the run's trunk, and the events of the shared part into `trunk_events`; false, with a notice
// that says why, where that cannot be used: the model's values are then undefined. *error: only what must end the run.
bool trunk_begin(struct training *training, struct error *error);

// ---- metrics.c: what kind of solution the training is at; docs/metrics.md ----

// Whether the step that leads to `step` steps done is one that metrics are told of.
bool metrics_are_due(const struct training *training, int64_t step);
// What has to be seen before such a step: weights and gradients. They are kept in `metrics` until metrics_after. What
// the step itself then does has the same bits as without. `batch` and `targets` are the step's.
struct metrics;
bool metrics_before(struct training *training, const struct token_batch *batch, int64_t targets,
                    struct metrics **metrics, struct error *error);
// The rest, and the event; frees `metrics`, which may be NULL (nothing is due).
bool metrics_after(struct training *training, const struct token_batch *batch, struct metrics *metrics,
                   struct error *error);

// ---- train.c ----

// What a part of the loop says about going on.
enum verdict { GO_ON, DIVERGED, STOPPED, FAILED };
// One optimizer step, asked of the device; its results wait in `pending` until they are drained.
bool training_step(struct training *training, struct error *error);
// Reads the results of the steps that wait on the device, and looks whether they are finite.
enum verdict training_drain(struct training *training, struct error *error);

double training_seconds(const struct training *training);        // of the run so far, interruptions left out
double training_train_seconds(const struct training *training);  // of these, in training steps

// Events.
// Appends loss_source_1, ... of a mixture's sources.
void report_parts(struct json_writer *json, const struct evaluation *evaluation);
bool report_start(struct training *training, struct error *error);
bool report_step(struct training *training, struct error *error);
// Begins an event of metrics at the training's last step: step and tokens are in it.
struct json_writer *report_metrics_begin(struct training *training);
// Of a training with exchanged gradients, at its last step; else nothing.
bool report_exchange(struct training *training, struct error *error);
// The same of one with moments in formats.
bool report_moments(struct training *training, struct error *error);
bool report_evaluation(struct training *training, const struct evaluation *evaluation, struct error *error);
// The same for runs that branch off later: no event of this run's.
bool report_branch_evaluation(struct training *training, const struct evaluation *evaluation, struct error *error);
bool report_checkpoint(struct training *training, struct error *error);
bool report_done(struct training *training, const struct evaluation *evaluation, struct error *error);
bool report_diverged(struct training *training, const struct pending_step *step, double grad_norm, const char *what,
                     struct error *error);
bool report_stopped(struct training *training, struct error *error);
bool report_failed(struct training *training, const struct error *why, struct error *error);
