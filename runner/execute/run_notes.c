// See run_notes.h.
#include "runner/execute/run_notes.h"

#include <math.h>
#include <string.h>

#include "base/terminal.h"
#include "runner/execute/events_reader.h"
#include "runner/execute/rows.h"

bool run_notes_read(struct run_notes *notes, struct store *store, const char *experiment, struct arena *arena,
                    struct error *error) {
  // Asked of the tables themselves: the runs' view derives some two hundred columns of each.
  struct value value = store_text(experiment);
  struct text sql = {0};
  size_t room = 0;
  text_add(&sql,
           "SELECT r.id, r.state, m.mark, m.marked_by, m.marked_at, r.log_damaged, r.log_damaged_line, "
           "r.resumed_under FROM runs r LEFT JOIN marks m ON m.run = r.id");
  if (experiment) text_add(&sql, " JOIN experiment_runs e ON e.run = r.id AND e.experiment = ?1");
  text_add(&sql, " WHERE m.mark IS NOT NULL OR r.log_damaged > 0 OR r.resumed_under <> ''");
  text_add(&sql, experiment ? " ORDER BY e.position" : " ORDER BY r.rowid");
  *notes = (struct run_notes){0};
  struct store_rows *rows = store_select(store, text_string(&sql), &value, experiment ? 1 : 0, error);
  text_free(&sql);
  while (rows && store_rows_next(rows, error)) {
    if (notes->count == room) {
      notes->notes = arena_grow(arena, notes->notes, room, 2 * room + 16, sizeof *notes->notes);
      room = 2 * room + 16;
    }
    struct value mark = store_rows_value(rows, 2), by = store_rows_value(rows, 3), at = store_rows_value(rows, 4),
                 damaged = store_rows_value(rows, 5), line = store_rows_value(rows, 6),
                 resumed = store_rows_value(rows, 7);
    notes->notes[notes->count++] = (struct run_note){
        .id = arena_string(arena, store_rows_value(rows, 0).text),
        .state = run_state_parse(store_rows_value(rows, 1).text),
        .mark = mark.kind == VALUE_TEXT ? run_mark_parse(mark.text) : MARK_NONE,
        .marked_by = by.kind == VALUE_TEXT ? arena_string(arena, by.text) : NULL,
        .marked_at = at.kind == VALUE_NUMBER ? at.number : NAN,
        .damaged = damaged.number,
        .damaged_line = line.number,
        .resumed_under = resumed.kind == VALUE_TEXT && *resumed.text ? arena_string(arena, resumed.text) : NULL,
    };
  }
  store_rows_close(rows);
  return !error->code;
}

bool run_notes_built_in_counts(struct store *store, const char *experiment, const char *id, size_t *count,
                               struct error *error) {
  struct value values[] = {store_text(experiment), store_text(id)};
  struct store_rows *rows = store_select(
      store,
      "SELECT count(*) FROM runs r WHERE r.command IS NOT NULL AND r.parameters = r.parameters_attention + "
      "r.parameters_mlp + r.parameters_norms AND (?2 IS NULL OR r.id = ?2) AND (?1 IS NULL OR EXISTS "
      "(SELECT 1 FROM experiment_runs e WHERE e.run = r.id AND e.experiment = ?1))",
      values, 2, error);
  *count = rows && store_rows_next(rows, error) ? (size_t)store_rows_value(rows, 0).number : 0;
  store_rows_close(rows);
  return !error->code;
}

const char *run_mark_words(enum run_mark mark, const char *marked_by, double marked_at, struct arena *arena) {
  struct value when = {.kind = VALUE_NUMBER, .number = marked_at};
  return arena_format(arena, "%s by %s at %s", mark == MARK_RETRY ? "to be tried again, asked" : run_mark_name(mark),
                      visible(arena, marked_by), value_human("marked_at", &when, arena));
}

// Runs of one call have the same second, author and mark.
static bool same_call(const struct run_note *a, const struct run_note *b) {
  return a->mark == b->mark && a->marked_at == b->marked_at && strcmp(a->marked_by, b->marked_by) == 0;
}

static void say_mark(const struct run_notes *notes, size_t first, struct text *out, struct arena *arena) {
  enum { NAMED = 4 };
  const struct run_note *note = &notes->notes[first];
  size_t same = 0;
  for (size_t i = 0; i < first; i++)
    if (notes->notes[i].mark != MARK_NONE && same_call(&notes->notes[i], note)) return;  // said there
  for (size_t i = first; i < notes->count; i++)
    same += notes->notes[i].mark != MARK_NONE && same_call(&notes->notes[i], note);
  text_format(out, "  %zu run%s %s:", same, same == 1 ? "" : "s",
              run_mark_words(note->mark, note->marked_by, note->marked_at, arena));
  size_t named = 0;
  for (size_t i = first; i < notes->count && named < NAMED; i++)
    if (notes->notes[i].mark != MARK_NONE && same_call(&notes->notes[i], note))
      text_format(out, "%s %.8s", named++ ? "," : "", notes->notes[i].id);
  if (same > NAMED) text_format(out, " and %zu more", same - NAMED);
  text_char(out, '\n');
}

void run_notes_say(const struct run_notes *notes, struct text *out) {
  struct arena scratch = {0};
  for (size_t i = 0; i < notes->count; i++) {
    const struct run_note *note = &notes->notes[i];
    if (note->mark != MARK_NONE) say_mark(notes, i, out, &scratch);
    if (note->damaged > 0) {
      text_format(out, "  %.8s  ", note->id);
      events_damage_say(out, note->damaged, note->damaged_line);
      text_char(out, '\n');
    }
    if (note->resumed_under)
      text_format(out, "  %.8s  resumed %s: its losses may differ in rounding\n", note->id,
                  visible(&scratch, note->resumed_under));
  }
  arena_free(&scratch);
}

void run_notes_json(const struct run_notes *notes, struct json_writer *json) {
  json_array_begin(json);
  for (size_t i = 0; i < notes->count; i++) {
    const struct run_note *note = &notes->notes[i];
    json_object_begin(json);
    json_key_string(json, "id", note->id);
    json_key_string(json, "state", run_state_name(note->state));
    json_key_string(json, "mark", run_mark_name(note->mark));
    json_key_string(json, "marked_by", note->marked_by);
    json_key_number(json, "marked_at", note->marked_at);
    json_key_integer(json, "log_damaged", (int64_t)note->damaged);
    json_key_number(json, "log_damaged_line", note->damaged > 0 ? note->damaged_line : NAN);
    json_key_string(json, "resumed_under", note->resumed_under);
    json_object_end(json);
  }
  json_array_end(json);
}
