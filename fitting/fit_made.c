// Where a fit comes from, in its JSON document.
#include "fitting/fit_document_internal.h"

void fit_json_made(const struct fit_made *made, struct json_writer *writer) {
  if (!made->version) return;
  json_key(writer, "made");
  json_object_begin(writer);
  json_key_string(writer, "version", made->version);
  json_key_string(writer, "command", made->command);
  json_key(writer, "arguments");
  json_array_begin(writer);
  for (size_t i = 0; i < made->argument_count; i++) json_put_string(writer, made->arguments[i]);
  json_array_end(writer);
  json_key(writer, "data");
  json_array_begin(writer);
  for (size_t i = 0; i < made->data_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "name", made->data[i].name);
    json_key_string(writer, "digest", made->data[i].digest);
    json_key_integer(writer, "rows", (int64_t)made->data[i].rows);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "settings");
  json_object_begin(writer);
  for (size_t i = 0; i < made->setting_count; i++)
    json_key_string(writer, made->settings[i].name, made->settings[i].value);
  json_object_end(writer);
  json_object_end(writer);
}

void fit_read_made(struct fit_made *made, const struct reading *reading, const json_t *root) {
  json_t *object = member_object(reading, root, "made"), *value;
  if (!object) return;  // of a version that did not say it
  const char *name;
  size_t count;
  made->version = member_text(reading, object, "version", "");
  made->command = member_text(reading, object, "command", "");
  made->arguments = member_texts(reading, object, "arguments", &made->argument_count);
  const json_t *all = member_objects(reading, object, "data", &count);
  made->data = arena_array(reading->arena, count + 1, sizeof *made->data);
  for (; made->data_count < count; made->data_count++) {
    const json_t *one = json_array_get(all, made->data_count);
    made->data[made->data_count] = (struct fit_data){.name = member_text(reading, one, "name", ""),
                                                     .digest = member_text(reading, one, "digest", ""),
                                                     .rows = (size_t)member_count(reading, one, "rows")};
  }
  json_t *settings = member_object(reading, object, "settings");
  made->settings = arena_array(reading->arena, json_object_size(settings) + 1, sizeof *made->settings);
  json_object_foreach(settings, name, value) {
    if (!json_is_string(value)) {
      reading_damaged(reading, name, "text");
      return;
    }
    made->settings[made->setting_count++] = (struct fit_setting){
        arena_string(reading->arena, name), arena_string(reading->arena, json_string_value(value))};
  }
}
