// Every law that ships is recovered from tables it made itself, with 0.3 % noise: the truth lies within the intervals.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

enum { ROWS = 160 };

struct truth {
  const char *law;
  const char *values;  // "E=1.7,A=400": the rest are the law's own fixed values
  double noise;
};

static const struct truth truths[] = {
    {"chinchilla", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31", 0.003},
    {"power-sum", "A=12,B=60,alpha=0.1,beta=0.15", 0.003},
    {"kaplan", "N_c=6.4e13,D_c=1.8e13,alpha_N=0.076,alpha_D=0.103", 0.003},
    {"qat-delta", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,k[w4a4]=0.05,k[w2a2]=0.2,g_D=0.1,g_N=0.12", 0.003},
    {"qat-delta-groups", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,k=0.02,g_D=0.12,g_N=0.14,g_G=0.9", 0.003},
    {"farseer", "s=-0.021,q=0.169,S=0.84,B=88,b=-0.18,Q=-3.2,A=2.1,a=-0.12,E=-1.45", 0.003},
    {"mixture-of-experts", "d1=5.2,a=0.12,b=0.25,c=0.0035,d3=0.3", 0.003},
    {"step-law", "k=1.79,p=-0.713,q=0.307", 0.003},
    {"batch-size", "k=0.58,q=0.571", 0.003},
    {"weight-decay-timescale", "k=1.08,q=-0.527", 0.003},
    {"domain-share", "c=1.6,k=0.9,t=-4", 0.003},
    {"vocabulary", "E=5.5,A_blocks=60,A_vocabulary=8,B=900,alpha_blocks=0.25,alpha_vocabulary=0.2,beta=0.31", 0.001},
    {"downstream-sigmoid", "floor_accuracy=0.25,rise=0.7,k=6,loss_half=1.4", 0.003},
    {"downstream-two-step", "A=60,B=900,alpha=0.2,beta=0.25,floor_accuracy=0.25,rise=0.7,loss_half=4", 0.003},
    {"downstream-log-accuracy", "A=1.5e3,alpha=0.18", 0.003},
    {"downstream-log-accuracy-size", "A=60,B=900,alpha=0.25,beta=0.31", 0.003},
    {"power-law", "E=1.6,K=90,gamma=0.12", 0.003},
    {"effective-parameters", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,eff[w4a4]=0.7,eff[w2a2]=0.2", 0.003},
    {"optimizer-rescaled", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,rho_D[muon]=1.5,rho_D[sgd]=0.4", 0.003},
    {"distillation", "E=1.3,A=127445,B=465834,alpha=0.578,beta=0.539,gamma=0.276", 0.003},
    {"quartet",
     "E=1.3,A=127445,B=465834,alpha=0.578,beta=0.539,gamma=0.276,eff_N[w4a4]=0.65,eff_N[w2a2]=0.4,eff_D[w4a4]=0.9,"
     "eff_D[w2a2]=0.5",
     0.003},
    {"quartet-beta1",
     "E=1.3,A=4e6,B=5e8,alpha=0.9,gamma=0.3,eff_N[w4a4]=0.65,eff_N[w2a2]=0.4,eff_D[w4a4]=0.9,eff_D[w2a2]=0.5", 0.003},
    {"overtraining", "E=1.7,a=150,b=250,eta=0.13", 0.003},
    {"data-constrained", "rd=15,rn=5", 0.003},
    {"routed", "a=-0.083,b=-0.118,c=0.0099,d=1.1136,es=2.07,em=239", 0.003},
    {"sparse-chinchilla", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31", 0.003},
    {"sparse-foundation", "a_S=16.8,b_S=0.722,c_S=45,b_N=0.245,a_D=6.9e8,b_D=0.203,c=0.651", 0.003},
    {"precision", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,gamma_w=2.67,gamma_a=2.2,gamma_kv=0.96", 0.003},
    {"capacity", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,rate=0.5,curvature=1.6", 0.003},
    {"compression-loss", "k=0.8,gamma=1.1", 0.003},
    {"tuned-parameters", "E=1.7,A=400,alpha=0.34,eff[w4a4]=0.7,eff[w2a2]=0.2", 0.003},
    {"linearity", "k=0.9", 0.003},
    {"effective-compression", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,eff[w4a4]=0.7,eff[w2a2]=0.2", 0.003},
    {"optimal-size", "k=0.09,a=0.5", 0.003},
    {"loss-rank", "E=1.7,K=0.9,gamma=0.6", 0.003},
    {"loss-state-bytes", "E=1.7,K=900,gamma=0.5", 0.003},
    {"selected-fraction", "E=1.7,K=0.2,gamma=0.5", 0.003},
    {"joint-learning-rate", "E=1.7,A=400,B=900,alpha=0.34,beta=0.31,c=0.03,k=0.005,p=-0.71,q=0.31", 0.003},
    {"annealing", "L0=2.6,A=0.6,alpha=0.45,c=0.3", 0.003},
    {"multi-power", "L0=3.04,A=0.525,alpha=0.508,B=363.8,c=2.066,beta=0.583,gamma=0.641", 0.0003},
};

static const char *const made_optimizers[] = {"adamw", "muon", "sgd"};

// Columns drawn evenly in the logarithm; every third row is of full precision in each sense.
static void make_columns(struct table *table) {
  static const char *const formats[] = {"none", "w4a4", "w2a2"};
  static const struct made_column columns[] = {{"parameters", 1e6, 1e10},
                                               {"tokens", 1e8, 1e12},
                                               {"unique_tokens", 1e8, 1e10},
                                               {"num_experts", 1, 512},
                                               {"weight_bits", 2, 16},
                                               {"activation_bits", 2, 16},
                                               {"kv_bits", 1, 16},
                                               {"gmse_weights", 1e-4, 0.4},
                                               {"gmse_activations", 1e-4, 0.4},
                                               {"sparsity", 0.005, 0.95},
                                               {"flops", 1e15, 1e22},
                                               {"lr", 1e-5, 1e-1},
                                               {"parameters_active_average", 1e6, 1e10},
                                               {"loss", 1, 2},
                                               {"parent_loss", 1, 2},
                                               {"output_error", 0.03, 1},
                                               {"predicted_increase", 0.03, 1},
                                               {"train.rank", 1, 512},
                                               {"state_bytes", 1e4, 1e9},
                                               {"data.fraction", 0.005, 1}};
  table_init(table, "made", ROWS);
  size_t made = make_columns_of(table, columns, sizeof columns / sizeof *columns, 0);
  make_columns_of(table, columns_of_tables, sizeof columns_of_tables / sizeof *columns_of_tables, made);
  make_schedules(table);
  for (size_t c = 0; c < table->column_count; c++)
    for (size_t row = 0; row < ROWS; row += 3)
      if (starts_with(table->columns[c].name, "gmse")) table->columns[c].numbers[row] = 0;
  size_t optimizer = table_add_category(table, "train.optimizer", ROLE_UNKNOWN);
  for (size_t row = 0; row < ROWS; row++) table_set_category(table, optimizer, row, made_optimizers[row / 3 % 3]);
  static const char *const names[] = {"format", "forward", "backward", "tune.format", "compression"};
  for (size_t c = 0; c < 5; c++) {
    size_t column = table_add_category(table, names[c], ROLE_UNKNOWN);
    for (size_t row = 0; row < ROWS; row++)  // half the rows are plain in both passes, the others in one
      table_set_category(table, column, row, formats[c == 0 || c > 2 ? row % 3 : row % 4 == c ? 1 + row / 4 % 2 : 0]);
  }
}

// The coefficients of a truth; the law's fixed values and baselines are among them.
static size_t make_truth(const struct law *law, const char *values, struct arena *arena,
                         struct coefficient *coefficients) {
  size_t count = 0;
  char *copy = arena_string(arena, values), *save = NULL;
  for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
    char *equals = strchr(item, '='), *bracket = strchr(item, '[');
    struct coefficient *c = &coefficients[count++];
    *c = (struct coefficient){.value = strtod(equals + 1, NULL)};
    *equals = '\0';
    c->name = arena_string(arena, item);
    if (bracket) c->category = arena_copy(arena, bracket + 1, strlen(bracket) - 2);
    c->parameter = bracket ? arena_copy(arena, item, (size_t)(bracket - item)) : c->name;
  }
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    bool of_optimizers = parameter->by && strcmp(parameter->by, "train.optimizer") == 0;
    if (parameter->by)
      coefficients[count++] = (struct coefficient){
          .name = "", .parameter = parameter->name, .category = of_optimizers ? "adamw" : "none", .value = 1};
    for (size_t i = 1; of_optimizers && parameter->fixed && i < 3; i++)
      coefficients[count++] = (struct coefficient){
          .name = "", .parameter = parameter->name, .category = made_optimizers[i], .value = parameter->fixed_value};
    if (!parameter->by && parameter->fixed)
      coefficients[count++] =
          (struct coefficient){.name = "", .parameter = parameter->name, .value = parameter->fixed_value};
  }
  return count;
}

static void recover(const struct truth *truth) {
  struct law law;
  struct table table;
  struct arena arena = {0};
  struct error error = {0};
  struct coefficient coefficients[40];
  struct fit_result result;
  make_columns(&table);
  if (!load_law(&law, truth->law)) return;
  size_t count = make_truth(&law, truth->values, &arena, coefficients);
  double *target = table.columns[table_find(&table, law.target)].numbers, predictions[ROWS];
  if (CHECK(law_predict(&law, coefficients, count, &table, predictions, &error))) {
    for (size_t row = 0; row < ROWS; row++) {
      double normal[2];
      random_normal_pair(17, 2, 0, row, normal);
      target[row] = predictions[row] * exp(truth->noise * normal[0]);
    }
    if (run_fit(&law, &table,
                &(struct fit_options){
                    .bare = true, .bootstrap = 240, .confidence = 0.995, .starts = 250, .objective = "huber:1e-2"},
                &result)) {
      for (size_t i = 0; i < count; i++) {
        if (!*coefficients[i].name) continue;
        const struct coefficient *c = find_coefficient(&result, coefficients[i].name);
        double value = coefficients[i].value;
        const struct intervals *in = &c->intervals;
        if (!CHECK(in->percentile_low <= value && value <= in->percentile_high && in->bca_low <= value &&
                   value <= in->bca_high))
          printf("# law %s: %s is %g, fitted %g (percentile %g .. %g, BCa %g .. %g)\n", truth->law, c->name, value,
                 c->value, in->percentile_low, in->percentile_high, in->bca_low, in->bca_high);
      }
      CHECK(result.stationary);
      double scale = 0;  // of the residual: the noise is that of the logarithm
      for (size_t i = 0; i < result.table_count; i++)
        scale += (result.residual == RESIDUAL_LOG ? 1 : pow(result.table[i].predicted, 2)) / (double)result.table_count;
      double rms = result.residual_rms / sqrt(scale);
      CHECK(rms > 0.6 * truth->noise && rms < 1.2 * truth->noise);
    }
    fit_result_free(&result);
  }
  arena_free(&arena);
  law_free(&law);
  table_free(&table);
}

static void every_law(void) {
  for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) recover(&truths[i]);
}

// A law that ships and is not in the list above fails here.
static void no_law_left_out(void) {
  struct arena arena = {0};
  struct error error = {0};
  const char **names;
  size_t count;
  CHECK(law_names(&arena, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    bool there = false;
    for (size_t t = 0; t < sizeof truths / sizeof *truths; t++) there |= strcmp(truths[t].law, names[i]) == 0;
    if (!CHECK(there)) printf("# %s\n", names[i]);
  }
  arena_free(&arena);
}

int main(void) {
  fitting_start();
  RUN(every_law);
  RUN(no_law_left_out);
  return check_end();
}
