// A stage at work in isoloss-train: its run's folder and log, its parent's checkpoint, and what it leaves.
#pragma once
#include "trainer/stages/stage.h"
#include "trainer/stages/values.h"
#include "trainer/training.h"

struct stage_number;

// A finished run that a stage reads: its configuration, and its newest whole checkpoint.
struct stage_source {
  struct run_file file;
  const char *checkpoint;  // folder
  int64_t step;            // updates done in it
};

struct stage_work {
  // Of this run: file, folder, log, corpus, device. Its model is made by the stage, and is what the checkpoint holds.
  struct training run;
  const struct stage *stage;
  struct stage_source parent;
  const char *parent_format;           // what the parent's model still does to activations, see format_after_weights
  volatile sig_atomic_t *stop_asked;   // or NULL
  bool stopped;                        // work came back since it was asked to
  const char *note_key, *note;         // a text of `done` besides its numbers, or NULL
  const struct stage_number *results;  // of the stage's own (results.h), in the arena; NAN: left out
  size_t result_count;
};

// Does what config.json asks for, from the parent's checkpoint to an end. Exit codes are those of trainer_run; a stage
// that was stopped or killed starts over.
enum exit_code stage_run(const struct trainer_options *options, struct error *error);

// The further training's model, made and with no values yet: initial ones where the stage begins with these
// (stage_begins), else those of the run's parent, as its checkpoint holds them;
// what the parent has not (scales that the format learns) is initial, moments are 0. The parent's corpus must have the
// same tokens.
bool stage_begin_training(struct training *training, struct error *error);
// Of a training that follows a selection of data: its corpus becomes the selected windows. Where there is none, nothing
// changes.
bool stage_open_selection(struct training *training, struct error *error);
// Whether tokens of one corpus mean what those of the other do. False with an error that says why not.
bool stage_corpora_agree(const struct corpus *before, const struct corpus *now, struct error *error);

// Whether this run's corpus has the tokens of its parent's. False with an error.
bool stage_check_tokens(struct stage_work *work, struct error *error);
// The training, or the folder's model, that the chain's model began with.
bool stage_find_root(struct stage_work *work, struct stage_source *root, struct error *error);
// The parameters of a source's checkpoint as they stand there: masters where it trained in a format. values_free in
// either case.
bool stage_masters(struct training *training, const struct stage_source *source, struct model_values *values,
                   struct error *error);
// The parameters of a source as it computes with them: where its format represents weights, represented. *format (may
// be NULL) is what its model still does to activations. values_free in either case.
bool stage_values(struct stage_work *work, const struct stage_source *source, struct model_values *values,
                  const char **format, struct error *error);
// A model of this run's shape in this format (NULL: none) with these values, forward only; its weights are prepared for
// the parent's step. NULL on error.
struct model *stage_model_of(struct stage_work *work, const char *format, const struct model_values *values,
                             struct error *error);
// Makes work->run.model, of this run's own model configuration, with these values, ready to evaluate.
bool stage_make_model(struct stage_work *work, const struct model_values *values, struct error *error);
// The same in this format.
bool stage_make_model_in(struct stage_work *work, const char *format, const struct model_values *values,
                         struct error *error);
// The evaluation of work->run.model on so many validation tokens, as a training's last one. False, with work->stopped
// and no error, when it was asked to stop.
bool stage_evaluate(struct stage_work *work, int64_t tokens, struct evaluation *evaluation, struct error *error);
// Writes work->run.model as the run's checkpoint, of the parent's step.
bool stage_write_checkpoint(struct stage_work *work, struct error *error);

// ---- events (report.c) ----

// What became of one matrix. Numbers that are not known are NAN and left out.
struct layer_result {
  int64_t layer;       // block, from 0
  const char *matrix;  // "self_attn.q_proj"
  int64_t rows, columns;
  double relative_error;  // ||W' - W||^2 / ||W||^2
  double output_error;    // the same of the layer's outputs on the calibration tokens: tr(D H D^T) / tr(W H W^T)
  double weighted_error;  // tr(D H' D^T), H' with the method's damping
  double bound;           // what the method promises for weighted_error
  double bits;            // stored, a weight
  double sparsity;        // share of zeroes
  double alpha;           // nats per t^2, where they were measured, and the standard error
  double alpha_error;
};
bool report_layer(struct stage_work *work, const struct layer_result *result, struct error *error);

// A number of `done` besides the loss; NAN: left out.
struct stage_number {
  const char *key;
  double value;
};
// The parameters of work->run.model that are not zero, embeddings apart, where a stage of the chain pruned it
// (active.c); NAN elsewhere, where the training's format says how many there are.
bool stage_active_parameters(struct stage_work *work, double *active, struct error *error);
// `evaluation` NULL: the stage has no loss, but results of its own.
bool report_stage_done(struct stage_work *work, const struct evaluation *evaluation, const struct stage_number *numbers,
                       size_t count, struct error *error);
