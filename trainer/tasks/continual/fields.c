// What a spec may give of task `continual`, and what its runs report.
#define TASK "continual"
#define SETTINGS struct continual
#include "trainer/tasks/fields.h"

#include "trainer/tasks/continual/continual.h"

static const struct run_field fields[] = {
    {INTEGER(phases, 1, 100), DEFAULT("4"), COUNTS,
     HELP("permutations of the pixels that are learnt one after the other")},
    {NUMBER(noise, 0, 10), DEFAULT("0.6"), COUNTS, HELP("standard deviation of what each pixel, 0 or 1, gets added")},
    {INTEGER(hidden, 2, 4096), DEFAULT("64"), COUNTS, HELP("neurons of a hidden layer")},
    {INTEGER(layers, 1, NETWORK_LAYERS - 1), DEFAULT("1"), COUNTS, HELP("hidden layers")},
    {CHOICE(optimizer, OPTIMIZERS), DEFAULT("adamw"), COUNTS, HELP("as train.optimizer, with its defaults")},
    {NUMBER(lr, 0, 100), DEFAULT("1e-3"), COUNTS, HELP("learning rate; of a schedule its peak")},
    {CHOICE(schedule, "constant|cosine"), DEFAULT("constant"), COUNTS,
     HELP("learning rate within a phase: constant, or half a cosine to 0")},
    {NUMBER(weight_decay, 0, 10), DEFAULT("0"), COUNTS, HELP("decoupled decay of the hidden layers' weights")},
    {INTEGER(steps, 1, 1e8), DEFAULT("400"), UNIT("steps"), COUNTS, HELP("optimizer steps of a phase")},
    {INTEGER(batch, 2, 65536), DEFAULT("32"), UNIT("examples"), COUNTS, HELP("examples of a step, new ones each time")},
    {INTEGER(test_samples, 2, 1e7), DEFAULT("2048"), UNIT("examples"), COUNTS,
     HELP("examples of each phase that it is tested on")},
};

static const struct task_result results[] = {
    RESULT(current_accuracy, "",
           "share of a phase's test examples classified right at that phase's end, mean over phases"),
    RESULT(final_accuracy, "", "the same of all phases at the end of the last one"),
    RESULT(forgetting, "", "accuracy at a phase's own end less that at the last one's, mean over phases but the last"),
    RESULT(weight_effective_rank, "", "exp(entropy) of a hidden matrix's squared singular values, mean over matrices"),
    RESULT(weight_stable_rank, "",
           "squared Frobenius norm of a hidden matrix over its squared spectral norm, the same"),
    RESULT(activation_effective_rank, "",
           "of a hidden layer's values on test examples of the last phase, mean over layers"),
    RESULT(activation_stable_rank, "", "of the same"),
    RESULT(zero_fraction, "", "share of zeros in the same"),
    RESULT(class_cosine, "", "mean cosine of two digits' mean values in the last hidden layer, the last phase's"),
};

// N is the weights, biases apart, D the examples seen.
static void counts(const void *settings, struct task_numbers *counts) {
  const struct continual *c = settings;
  double hidden = (double)c->hidden;
  counts->parameters = hidden * (DIGIT_PIXELS + DIGITS) + (double)(c->layers - 1) * hidden * hidden;
  counts->steps = (double)(c->phases * c->steps);
  counts->tokens = counts->steps * (double)c->batch;
}

static const struct task_word words[] = {
    {"parameters", "weights", "weights", ""},
    {"tokens", "training examples", "examples", ""},
    {"loss", "test loss, mean over phases", "loss", "nats/example"},
    {"train_loss", "training loss", "training loss", "nats/example"},
    {0},
};

const struct task task_continual = {TASK_TABLES,
                                    .help = "digits whose pixels are permuted in phases, and what a classifier forgets",
                                    .version = 1, .counts = counts, .words = words};
