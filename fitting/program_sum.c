// Sums over the pieces of a schedule: compiling their bodies to programs over all pieces of all rows, and running
// these. Forward and backward go together, row by row, so that of a row's pieces nothing but the sum and its
// derivatives by what it reads is kept.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/program_builder.h"
#include "fitting/table_internal.h"
#include "fitting/vector_math_internal.h"

static const double piece_cost = 0.8;  // next to a row of a law without sums

// ---- compiling ----

// The pieces of all rows, one after the other, each row's padded to whole lanes by its last one.
struct pieces {
  struct rate_piece *all;
  size_t *rows;  // of the table: whose each is
  double *real;
  size_t count, capacity;
};

static void add_piece(struct pieces *pieces, struct rate_piece piece, size_t row, bool real) {
  if (pieces->count == pieces->capacity) {
    pieces->capacity = 2 * pieces->capacity + 1024;
    pieces->real = memory_grow(pieces->real, pieces->capacity * sizeof *pieces->real);
    pieces->all = memory_grow(pieces->all, pieces->capacity * sizeof *pieces->all);
    pieces->rows = memory_grow(pieces->rows, pieces->capacity * sizeof *pieces->rows);
  }
  pieces->all[pieces->count] = piece;
  pieces->real[pieces->count] = real;
  pieces->rows[pieces->count++] = row;
}

// Whether the body is a product with piece.drop, so that pieces without one give nothing.
static bool is_times_drop(const struct expression_node *node) {
  if (node->kind == EXPRESSION_PIECE) return node->number == PIECE_DROP;
  if (node->kind == EXPRESSION_MULTIPLY) return is_times_drop(node->arguments[0]) || is_times_drop(node->arguments[1]);
  return node->kind == EXPRESSION_DIVIDE && is_times_drop(node->arguments[0]);
}

// The schedules of the rows, each text read once.
struct schedules {
  struct rate_schedule *read;
  const char **texts;
  int count;
};

static const struct rate_schedule *schedule_of(struct builder *builder, struct schedules *known, const char *text) {
  for (int i = known->count - 1; i >= 0; i--)
    if (strcmp(known->texts[i], text) == 0) return &known->read[i];
  struct rate_schedule schedule;
  if (!rate_schedule_parse(builder->arena, text, &schedule, builder->error)) return NULL;
  known->read =
      arena_grow(builder->arena, known->read, (size_t)known->count, (size_t)known->count + 1, sizeof *known->read);
  known->texts =
      arena_grow(builder->arena, known->texts, (size_t)known->count, (size_t)known->count + 1, sizeof *known->texts);
  known->read[known->count] = schedule;
  known->texts[known->count] = text;
  return &known->read[known->count++];
}

static bool row_failed(const struct builder *builder, size_t row) {
  return error_context(builder->error, "row %s", builder->table->row_names[row]);
}

// One row's pieces.
static bool add_row(struct builder *builder, struct schedules *known, const char *text, double step, bool skip,
                    size_t row, struct pieces *pieces, struct pieces *scratch) {
  const struct rate_schedule *schedule = schedule_of(builder, known, text);
  if (!schedule) return row_failed(builder, row);
  if (!(step >= 0 && step <= schedule->end)) {
    error_set(builder->error, EXIT_USAGE_ERROR, "step %g is beyond the schedule, which has %g steps", step,
              schedule->end);
    return row_failed(builder, row);
  }
  double share = builder->rows.every_step ? 0 : RATE_PIECE_SHARE;
  size_t made = rate_schedule_pieces(schedule, floor(step), share, &scratch->all, &scratch->capacity);
  for (size_t i = 0; i < made; i++)
    if (!skip || scratch->all[i].drop != 0) add_piece(pieces, scratch->all[i], row, true);
  while (pieces->count % PROGRAM_LANES) add_piece(pieces, pieces->all[pieces->count - 1], row, false);
  return true;
}

static bool add_rows(struct builder *builder, const struct expression_node *node, struct program_sum *sum,
                     struct pieces *pieces) {
  const struct expression *place = expression_from_node(builder->arena, node->arguments[1]);
  int column = table_find(builder->table, node->arguments[0]->text),
      *columns = arena_array(builder->arena, (size_t)place->name_count + 1, sizeof *columns);
  struct value *slots = arena_array(builder->arena, (size_t)place->name_count + 1, sizeof *slots);
  if (column < 0) return unknown_column(builder->table, node->arguments[0]->text, "there is", builder->error);
  if (builder->table->columns[column].kind != COLUMN_CATEGORY)
    return error_set(builder->error, EXIT_USAGE_ERROR, "%s: column '%s' holds numbers, not schedules such as '%s'",
                     builder->table->source, node->arguments[0]->text, "0:0,100:3e-4,10000:3e-5");
  if (!table_columns_of(builder->table, place, "the step of a sum", columns, builder->error)) return false;
  struct schedules known = {0};
  struct pieces scratch = {0};
  bool fine = true, skip = is_times_drop(node->arguments[2]);
  for (size_t i = 0; i < builder->rows.count && fine; i++) {
    size_t row = builder->rows.rows[i];
    double step;
    sum->first[i] = pieces->count;
    table_slots(builder->table, place, columns, row, slots);
    fine = expression_number(place, slots, &step, builder->error) &&
           add_row(builder, &known, table_value(builder->table, (size_t)column, row).text, step, skip, row, pieces,
                   &scratch);
  }
  for (size_t i = builder->rows.count; i <= builder->program->padded; i++) sum->first[i] = pieces->count;
  free(scratch.all);
  return fine;
}

int builder_sum(struct builder *builder, const struct expression_node *node) {
  struct program *program = builder->program;
  if (builder->outer) {
    error_set(builder->error, EXIT_USAGE_ERROR, "a sum_over cannot be within another one");
    return -1;
  }
  if (node->count != 3 || node->arguments[0]->kind != EXPRESSION_NAME ||
      builder_has_parameter(builder, node->arguments[0]) || builder_has_parameter(builder, node->arguments[1])) {
    error_set(builder->error, EXIT_USAGE_ERROR,
              "sum_over takes the column of schedules, the step up to which it goes, and what is to be summed");
    return -1;
  }
  struct program_sum *sum = arena_alloc(builder->arena, sizeof *sum);
  sum->first = arena_array(builder->arena, program->padded + 1, sizeof *sum->first);
  sum->key = builder_node_key(builder, node);
  sum->body = arena_alloc(builder->arena, sizeof *sum->body);
  struct pieces pieces = {0};
  int result = -1, inputs[PROGRAM_LEAVES];
  if (add_rows(builder, node, sum, &pieces)) {
    while (pieces.count < PROGRAM_LANES)  // of rows without pieces
      add_piece(&pieces, (struct rate_piece){1, 1, 0, 1, 1}, builder->rows.rows[0], false);
    sum->real = arena_array(builder->arena, pieces.count, sizeof *sum->real);
    memcpy(sum->real, pieces.real, pieces.count * sizeof *sum->real);
    *sum->body = (struct program){.rows = pieces.count, .padded = pieces.count};
    struct builder body = {.arena = builder->arena,
                           .law = builder->law,
                           .table = builder->table,
                           .rows = {pieces.rows, pieces.count, NULL, false},
                           .elements = builder->elements,
                           .element_count = builder->element_count,
                           .program = sum->body,
                           .facts = builder->facts,
                           .facts_mask = builder->facts_mask,
                           .error = builder->error,
                           .outer = builder,
                           .pieces = pieces.all,
                           .inputs = inputs};
    sum->body->result = builder_value(&body, node->arguments[2]);
    sum->body->element_count = sum->body->leaf_count;
    sum->uniform = true;
    for (int l = 0; l < sum->body->leaf_count; l++) sum->uniform &= !builder->varies[inputs[l]];
    if (sum->body->result >= 0) result = builder_emit_sum(builder, sum, sum->body->leaf_count, inputs);
  }
  free(pieces.real);
  free(pieces.all);
  free(pieces.rows);
  return result;
}

double program_row_cost(const struct program *program) {
  double pieces = 0;
  for (int k = 0; k < program->instruction_count; k++)
    if (program->instructions[k].sum) pieces += (double)program->instructions[k].sum->body->padded;
  return 1 + piece_cost * pieces / fmax((double)program->rows, 1);
}

// ---- running ----

// lane[k] += the sum of values[i] over i = k, k + 8, ...: the same order whatever the machine's vectors.
FOR_EVERY_MACHINE static void add_lanes(double *restrict lane, const double *restrict values,
                                        const double *restrict real, size_t n) {
  for (size_t i = 0; i < n; i += PROGRAM_LANES)
    for (size_t k = 0; k < PROGRAM_LANES; k++) lane[k] += values[i + k] * real[i + k];
}

static double sum_of_lanes(const double *lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// Rows next to each other, whose leaves are set.
struct running {
  const struct program_sum *sum;
  struct program_state *state;  // of the body
  int leaves;
  double *y;  // of the rows' block
};

// The sums of rows from..to (in the block that begins at row `base`), their pieces in blocks across rows.
static void run_rows(const struct running *run, size_t base, size_t from, size_t to) {
  const struct program_sum *sum = run->sum;
  const struct program *body = sum->body;
  const double *adjoint[PROGRAM_LEAVES];
  double lane[PROGRAM_LEAVES + 1][PROGRAM_LANES];
  size_t row = from, end = sum->first[to];
  memset(lane, 0, (size_t)(run->leaves + 1) * sizeof *lane);
  for (size_t done = sum->first[from], n; done < end; done += n) {
    n = end - done < PROGRAM_BLOCK ? end - done : PROGRAM_BLOCK;
    const double *values = program_forward(run->state, done, n);
    program_backward_seeded(run->state, done, n, sum->real + done, adjoint);
    for (size_t at = done; at < done + n;) {
      while (sum->first[row + 1] <= at) row++;
      size_t stop = sum->first[row + 1] < done + n ? sum->first[row + 1] : done + n;
      const double *real = sum->real + at;
      add_lanes(lane[0], values + (at - done), real, stop - at);
      for (int l = 0; l < run->leaves; l++)
        if (body->active[body->leaves[l].reg]) add_lanes(lane[l + 1], adjoint[l] + (at - done), real, stop - at);
      if (stop == sum->first[row + 1]) {
        for (int l = 0; l <= run->leaves; l++) run->y[(size_t)l * PROGRAM_BLOCK + (row - base)] = sum_of_lanes(lane[l]);
        memset(lane, 0, (size_t)(run->leaves + 1) * sizeof *lane);
      }
      at = stop;
    }
  }
}

void program_sum_forward(struct program_state *state, const struct instruction *run, const double *const *x, size_t row,
                         size_t count, double *y) {
  struct running running = {run->sum, state->sums[run->number], run->count, y};
  for (int k = 0; k <= run->count; k++) memset(y + (size_t)k * PROGRAM_BLOCK, 0, count * sizeof *y);
  for (size_t i = 0, to; i < count; i = to) {
    to = i + 1;
    if (state->weight && state->weight[row + i] == 0) continue;
    if (run->sum->uniform)
      while (to < count && !(state->weight && state->weight[row + to] == 0)) to++;
    if (run->sum->first[row + i] == run->sum->first[row + to]) continue;
    for (int k = 0; k < run->count; k++) state->inputs[k] = x[k][i];
    program_begin(running.state, state->inputs);
    run_rows(&running, row, row + i, row + to);
  }
}
