// See event_file.h.
#include "runner/live/event_file.h"

#include <string.h>

// ---- records ----

enum { HEAD = 12, TAIL = 4 };  // length and its checksum before the bytes, their checksum behind

uint32_t event_file_crc(const void *bytes, size_t length) {
  const unsigned char *at = bytes;
  uint32_t crc = 0xFFFFFFFF;
  for (size_t i = 0; i < length; i++) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
  }
  return ~crc;
}

// A checksum of bytes that hold checksums is weak, so what is stored is another number.
static uint32_t masked(const void *bytes, size_t length) {
  uint32_t crc = event_file_crc(bytes, length);
  return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

static void add_little(struct text *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) text_char(out, (char)(value >> 8 * i & 0xFF));
}

static uint64_t little(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
  return value;
}

static void add_record(struct text *out, const struct text *event) {
  size_t begin = out->length;
  add_little(out, event->length, 8);
  add_little(out, masked(out->bytes + begin, 8), 4);
  text_append(out, event->bytes, event->length);
  add_little(out, masked(event->bytes, event->length), 4);
}

// ---- protocol buffers: a key (field number, wire type), then a varint, 4 or 8 bytes, or a length and bytes ----

enum wire { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5 };
enum event_field { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5 };
enum summary_field { SUMMARY_VALUE = 1 };
enum value_field { VALUE_TAG = 1, VALUE_SIMPLE = 2 };

static void add_varint(struct text *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) text_char(out, (char)((value & 0x7F) | 0x80));
  text_char(out, (char)value);
}

static void add_key(struct text *out, int field, enum wire wire) { add_varint(out, (uint64_t)field << 3 | wire); }

static void add_bytes(struct text *out, int field, const void *bytes, size_t length) {
  add_key(out, field, BYTES);
  add_varint(out, length);
  text_append(out, bytes, length);
}

static void add_time(struct text *out, double time) {
  uint64_t bits;
  memcpy(&bits, &time, sizeof bits);
  add_key(out, EVENT_WALL_TIME, EIGHT_BYTES);
  add_little(out, bits, 8);
}

void event_file_begin(struct text *out, double time) {
  static const char version[] = "brain.Event:2";
  struct text event = {0};
  add_time(&event, time);
  add_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
  add_record(out, &event);
  text_free(&event);
}

void event_file_add(struct text *out, double time, int64_t step, const struct event_value *values, size_t count) {
  struct text event = {0}, summary = {0}, one = {0};
  for (size_t i = 0; i < count; i++) {
    float number = (float)values[i].value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    text_clear(&one);
    add_bytes(&one, VALUE_TAG, values[i].tag, strlen(values[i].tag));
    add_key(&one, VALUE_SIMPLE, FOUR_BYTES);
    add_little(&one, bits, 4);
    add_bytes(&summary, SUMMARY_VALUE, one.bytes, one.length);
  }
  add_time(&event, time);
  add_key(&event, EVENT_STEP, VARINT);
  add_varint(&event, (uint64_t)step);
  add_bytes(&event, EVENT_SUMMARY, summary.bytes, summary.length);
  add_record(out, &event);
  text_free(&one);
  text_free(&summary);
  text_free(&event);
}

// ---- reading what was written ----

struct field {
  uint64_t number, wire, value;  // value: of a varint, or the length of bytes
  const unsigned char *bytes;
};

static bool read_varint(const unsigned char **at, const unsigned char *end, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && *at < end; shift += 7) {
    unsigned char byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return true;
  }
  return false;
}

// The next field of a message; false at its end, and where it is none.
static bool read_field(const unsigned char **at, const unsigned char *end, struct field *field) {
  uint64_t key;
  if (!read_varint(at, end, &key)) return false;
  *field = (struct field){.number = key >> 3, .wire = key & 7, .bytes = *at};
  size_t room = (size_t)(end - *at), fixed = (key & 7) == EIGHT_BYTES ? 8 : 4;
  switch (key & 7) {
    case VARINT:
      return read_varint(at, end, &field->value);
    case EIGHT_BYTES:
    case FOUR_BYTES:
      if (room < fixed) return false;
      *at += fixed;
      return true;
    case BYTES:
      if (!read_varint(at, end, &field->value) || field->value > (uint64_t)(end - *at)) return false;
      field->bytes = *at;
      *at += field->value;
      return true;
    default:
      return false;
  }
}

// The field of that number and kind in a message of so many bytes; false without one.
static bool find_field(const unsigned char *bytes, uint64_t length, int number, enum wire wire, struct field *field) {
  for (const unsigned char *at = bytes, *end = bytes + length; read_field(&at, end, field);)
    if (field->number == (uint64_t)number && field->wire == (uint64_t)wire) return true;
  return false;
}

static void note_step(const unsigned char *event, uint64_t length, const char *const *prefixes, size_t count,
                      int64_t *last_step) {
  struct field step, summary, value, tag;
  if (!find_field(event, length, EVENT_STEP, VARINT, &step) ||
      !find_field(event, length, EVENT_SUMMARY, BYTES, &summary) ||
      !find_field(summary.bytes, summary.value, SUMMARY_VALUE, BYTES, &value) ||
      !find_field(value.bytes, value.value, VALUE_TAG, BYTES, &tag))
    return;
  for (size_t i = 0; i < count; i++) {
    size_t prefix = strlen(prefixes[i]);
    if (tag.value >= prefix && memcmp(tag.bytes, prefixes[i], prefix) == 0 && (int64_t)step.value > last_step[i])
      last_step[i] = (int64_t)step.value;
  }
}

size_t event_file_read(const void *bytes, size_t length, const char *const *prefixes, size_t count,
                       int64_t *last_step) {
  const unsigned char *at = bytes;
  size_t whole = 0;
  for (size_t i = 0; i < count; i++) last_step[i] = -1;
  while (length - whole >= HEAD + TAIL) {
    const unsigned char *head = at + whole;
    uint64_t size = little(head, 8);
    if (little(head + 8, 4) != masked(head, 8) || size > length - whole - HEAD - TAIL ||
        little(head + HEAD + size, 4) != masked(head + HEAD, size))
      break;
    note_step(head + HEAD, size, prefixes, count, last_step);
    whole += HEAD + size + TAIL;
  }
  return whole;
}
