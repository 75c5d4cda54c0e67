/*
 * One walker over protobuf-c's run-time descriptors: YAML in, YAML and JSON out, for any message of
 * config.proto or operator.proto. A key exists exactly when a field does; names, types and enum
 * words come from the .proto.
 *
 *   YAML text ──reflect_yaml.c──▶ tree of nodes ──reflect_build.c──▶ message
 *                                                                     │
 *      one value by its path ──reflect_change.c──▶────────────────────┤
 *      YAML text, difference from a base ◀──reflect_print.c───────────┤
 *                                   JSON ◀──reflect_json.c────────────┘
 *
 * Values with a notation of their own (Ip4, Mac, Duration, Subnet, Endpoint, IpRange, Address) are
 * read and written as text by reflect_text.c, chosen by message name. Used by the supervisor and
 * natlockctl only: it uses the heap. No clock, no global state; no system call but for memory and
 * the given FILE.
 */
#ifndef NATLOCK_IPC_REFLECT_H
#define NATLOCK_IPC_REFLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <protobuf-c/protobuf-c.h>

enum {
	REFLECT_YAML_MAX = 256 * 1024, /* bytes of one YAML text */
	REFLECT_DEPTH_MAX = 12,	       /* mappings and lists inside each other */
	REFLECT_NODES_MAX = 16384,     /* values in one text */
	REFLECT_ITEMS_MAX = 1024,      /* keys of one mapping, elements of one list */
	REFLECT_SCALAR_MAX = 255,      /* bytes of one key or value */
	REFLECT_TEXT_BYTES = 48,       /* any notation as text, terminated */
};

struct reflect_error {
	int line, column; /* from 1; 0: the text as a whole */
	char text[448];	  /* one line, printable: the value, what is allowed, what to do */
};

#define REFLECT_WHOLE SIZE_MAX

/* Where each value that a text gave stands. A value that keeps its default has no mark. */
struct reflect_mark {
	const ProtobufCMessage *message;
	const ProtobufCFieldDescriptor *field;
	size_t index; /* element of a list; REFLECT_WHOLE: the field itself */
	int line, column;
};
struct reflect_marks { /* zeroed = empty */
	struct reflect_mark *mark;
	size_t count, capacity;
};

/*
 * Lays YAML over *message: a scalar or a notation replaces, a mapping merges, a list replaces. A
 * new element of a list keyed by `name` starts as a copy of the old list's element "default". An
 * empty text changes nothing. Refuses what a configuration has no use for: anchors, aliases, tags,
 * duplicate keys, several documents. `marks` may be NULL; its pointers go into *message and die
 * with it. Returns 0, or -EINVAL with *error filled
 * (*message is then half changed: free it), or -ENOMEM.
 */
int reflect_yaml(ProtobufCMessage *message, const char *text, size_t bytes,
	struct reflect_marks *marks, struct reflect_error *error);
/* The mark of a field (index REFLECT_WHOLE) or of element `index` of a list; NULL: the text did not
 * give it. */
const struct reflect_mark *reflect_where(const struct reflect_marks *marks,
	const ProtobufCMessage *message, const char *field, size_t index);
void reflect_marks_free(struct reflect_marks *marks);

/*
 * Lays YAML over *message as reflect_yaml does, but for the elements of top-level lists keyed by `name`: those are
 * merged with the elements that *message has by that name, and passed over where it has none. What the saved changes
 * are to a configuration file.
 */
int reflect_yaml_merge(
	ProtobufCMessage *message, const char *text, size_t bytes, struct reflect_error *error);

/*
 * One change of a message that holds all its sections, by path ("nat.tcp_timeout": names of fields). `value` is YAML
 * of at most REFLECT_YAML_MAX bytes.
 *   SET     as if the value stood in a file: replaces a value or a list, merges a section
 *   ADD     one more element at the end of a list; refused when it is there already
 *   REMOVE  all elements that have what `value` has; a text is the name of an element that has one
 * 0; -EINVAL with *error (no place, but path and value); -ENOENT with *error: nothing to remove; -ENOMEM. The message
 * is whole in every case, but SET of a section may then be half done. Any input.
 */
enum reflect_how { REFLECT_SET, REFLECT_ADD, REFLECT_REMOVE };
int reflect_change(ProtobufCMessage *message, enum reflect_how how, const char *path,
	const char *value, struct reflect_error *error);
/* The field that a path names and the section that holds it; NULL with *error. Any path. */
const ProtobufCMessage *reflect_find(const ProtobufCMessage *message, const char *path,
	const ProtobufCFieldDescriptor **field, struct reflect_error *error);
/* Gives *to the value that *from has at a path; both of one type, the path one that reflect_find finds. 0 or -ENOMEM.
 */
int reflect_take(ProtobufCMessage *to, const ProtobufCMessage *from, const char *path);

/*
 * The paths of all values in which two messages of one type differ, sections looked into, lists as a whole. Returns how
 * many there are, of which at most `cap` are written.
 */
enum { REFLECT_PATH_BYTES = 96 };
size_t reflect_differences(const ProtobufCMessage *a, const ProtobufCMessage *b,
	char (*path)[REFLECT_PATH_BYTES], size_t cap);

/* A deep copy, freed with protobuf_c_message_free_unpacked(copy, NULL). NULL: out of memory. */
ProtobufCMessage *reflect_copy(const ProtobufCMessage *message);
/* Whether both hold the same values; absent is not the same as given. Same descriptor required. */
bool reflect_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);

/* Writes the message as YAML that reflect_yaml reads back to an equal message. */
void reflect_print(FILE *out, const ProtobufCMessage *message);
/* Only what differs from base: laid over base again it gives an equal message. True when anything
 * was printed. */
bool reflect_print_diff(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base);

/*
 * The same of one value by its path, with its name before it ("mtu: 1500"); path NULL or "": all. base NULL: whatever
 * it is. Each line begins with `indent` blanks. False when nothing was printed, or there is no such path.
 */
bool reflect_print_at(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	const char *path, int indent);
/* As JSON: an object with the names of all that is printed. */
bool reflect_json_at(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	const char *path);

/* Whether messages of this type are written as text. */
bool reflect_has_text(const ProtobufCMessageDescriptor *type);
/* What such a text looks like, for an error: "an IPv4 address such as 192.168.30.1". */
const char *reflect_text_help(const ProtobufCMessageDescriptor *type);
/* Reads a notation into an empty message. 0, -EINVAL (not this notation), -ENOMEM. Any input. */
int reflect_text_read(ProtobufCMessage *message, const char *text);
/* Writes a notation; out has REFLECT_TEXT_BYTES. Any content: hostile rows are printed as they are,
 * bounded. */
const char *reflect_text_write(const ProtobufCMessage *message, char *out);

/* The known word that `word` was probably meant to be, or NULL. Known words may be NULL. */
const char *reflect_suggest(const char *word, const char *const *known, size_t count);
/* Copies text for a person: printable ASCII stays, all else becomes '?'; cut to cap, always
 * terminated. */
const char *reflect_printable(char *out, size_t cap, const char *text);

/*
 * One JSON object, ASCII only: keys are the field names, notations are strings, absent values null.
 * A wall-clock field created_ms, expires_ms or at_ms is followed by the same moment in ISO 8601
 * without the _ms. Any content.
 */
void reflect_json(FILE *out, const ProtobufCMessage *message);
/* A JSON string with its quotes; NULL writes null, a byte that is not UTF-8 becomes U+FFFD. Any
 * input. */
void reflect_json_string(FILE *out, const char *text);
/* "2012-12-06T15:44:52.557Z" into out (REFLECT_TEXT_BYTES); NULL beyond the year 9999. */
const char *reflect_iso_time(char *out, uint64_t wall_ms);

#endif
