// Stages: what may follow a training. A stage takes its parent's checkpoint and settings, is hashed after it, and gives
// a run with a row of its own. Each is one file here and one entry of the table in stages.c; specs, plans, the
// coordinator, the store and isoloss-train know the table and no stage by name. docs/stages.md is the manual.
//
// Life of a stage: its settings are run fields (trainer/config_fields.c, STAGE(name)); a plan asks `skips`, then
// `resolve`, then `forward_tokens`; isoloss-train calls `work`.
#pragma once
#include "base/base.h"
#include "trainer/config.h"

struct stage_work;

struct stage {
  const char *name;           // of the group of its fields, of the column `stage`, and of its key under `stages`,
  const char *key;            // ... but where that is another word; NULL: the name
  const char *one, *several;  // what people count: "compression", "compressions"
  const char *help;
  bool root;   // a chain begins with it: it has no parent, and no key under `stages`
  bool moves;  // it may stand behind the next one of the table, too
  // Where its forward tokens are part of a chain's C, since what it does is part of what the trained model costs: the
  // offset in struct run_quantities of the FLOPs that stand apart, too. 0: they are not.
  size_t spends;
  // What its runs hold besides the model that the chain began with in training, by which their memory is planned: in
  // words, for the plan to say. NULL: nothing.
  const char *unplanned;
  bool corpus;  // a value of it may name another corpus: `corpus` among its settings
  // Settings of which a mapping must give one, or it would do nothing: their paths, ends with NULL. NULL: none.
  const char *const *needs;
  int version;  // raised by hand when a change of the stage changes its results: part of its runs' identity
  // Whether these settings are those of no stage at all: the chain continues with the parent itself.
  bool (*skips)(const struct run_config *config);
  // Fills what is auto and checks what can be known before anything starts. The parent's settings are resolved. Texts
  // that it sets live in the arena. False with an error that names the fields at fault (error_about).
  bool (*resolve)(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                  struct error *error);
  // Of a stage that trains: turns the resolved configuration of its run into that of the training that it is. NULL: it
  // does not train.
  void (*training)(struct run_config *config);
  // Whether a run with these settings trains, of a stage some of whose runs do; NULL: all do, or none. See
  // stage_trains.
  bool (*trains)(const struct run_config *config);
  // Whether the model of a run with these settings is made from initial weights, so that N and D are its own. What was
  // spent before it counts in C where a selection read the model, and is then the selection's. NULL: never.
  bool (*begins)(const struct run_config *config);
  // Tokens of the corpus that trainings behind it go over; NAN: known when it has run. NULL: all of the corpus.
  double (*leaves_tokens)(const struct run_config *config);
  // Turns the configuration of a run of this stage, or of a later one, into that of the model which its checkpoint
  // holds: what is still to be represented when it computes. NULL: the parent's. Texts live in the arena.
  bool (*becomes)(struct run_config *config, struct arena *arena, struct error *error);
  // Tokens that go forward through the model, for the estimate of time; `facts` may not be known.
  double (*forward_tokens)(const struct run_config *config, const struct corpus_facts *facts);
  // Libraries besides the device's own that its numbers depend on, with their versions, for the record of the run: in
  // words, in the arena; NULL: none. May be NULL.
  const char *(*libraries)(const struct run_config *config, struct arena *arena);
  // How many steps its `step` events count, of one that does not train. NULL: none.
  int64_t (*steps)(const struct run_config *config);
  // Whether an earlier worker left a state to go on from: the step that it is at, the bytes of the event log that
  // belong to it, and its seconds. NULL: it starts over.
  bool (*resume)(struct stage_work *work, int64_t *step, int64_t *log_size, double *seconds);
  // Does it: from the parent's checkpoint to this run's, with its events but `start` and the ends that are no result.
  // False with an error. NULL of a stage whose work is the training loop's.
  bool (*work)(struct stage_work *work, struct error *error);
};

extern const struct stage stages[];
extern const size_t stage_count;

const struct stage *stage_find(const char *name);  // NULL: there is none of that name, or name is NULL
const char *stage_key(const struct stage *stage);  // under `stages`
// Whether a run of the stage (NULL: none) with these settings trains the model.
bool stage_trains(const struct stage *stage, const struct run_config *config);
// Whether a run of the stage (NULL: none) with these settings makes its model from initial weights.
bool stage_begins(const struct stage *stage, const struct run_config *config);
// Whether the model of a run with these settings has cost more than the training that they describe: a stage of its
// chain trained, searched or selected data, or the chain began with a trained folder, of which the settings do not say
// it.
bool stages_spend(const struct run_config *config);
// Of a run with these settings: what its corpus, with these facts, is to a training, after the stages that choose of
// it.
struct corpus_facts stage_facts(const struct run_config *config, const struct corpus_facts *facts);
// The name that a run's identity hashes: it changes with the stage's version. In the arena.
const char *stage_identity(const struct stage *stage, struct arena *arena);
// The id of a run of this stage: config_identity under stage_identity, after the parent's id.
struct digest stage_run_id(const struct stage *stage, const struct run_config *config, const char *corpus_digest,
                           const char *parent);
// The configuration of the model that the run's checkpoint holds, from the run's own: all stages that it has been
// through, in order. Of a training nothing changes. The format is parsed anew when the model is made.
bool stage_model_config(struct run_config *config, struct arena *arena, struct error *error);
