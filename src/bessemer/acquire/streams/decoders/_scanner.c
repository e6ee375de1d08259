/* Scanning messages of JSON into columns: of each known field its texts, numbers or booleans, side by side.
 *
 * A scan either gives what Python's own parser would give, or says that it does not: None for the whole call, where a
 * message is no object, a value is of another type than its column, a field comes twice or is not known, a name has an
 * escape, half of a surrogate pair stands in a text, bytes are no UTF-8... Whoever calls asks a slower parser then.
 * What a number is worth is not decided here: numbers come out as they were written, and Arrow makes values of them.
 *
 * The messages are bytes of others. Every read is behind a comparison with the end of the message, every write behind
 * `reserve`; nothing goes down by the stack deeper than DEEPEST. The interpreter is left to other threads meanwhile.
 *
 * Only the limited API of Python 3.11 is used, and nothing but the C library.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 500 /* objects and lists within each other, as in json_checks.py */

/* What a column holds. */
#define TEXT 't'
#define NUMBER 'n'
#define BOOLEAN 'b'

/* How a scan ends. */
enum { DONE = 0, ODD = 1, FULL = 2 };

typedef struct {
    const char *name; /* as it stands between quotation marks */
    Py_ssize_t length;
    char kind;
    Py_ssize_t seen; /* the last row that has it */
    uint8_t *valid;  /* a bit a row */
    uint8_t *truth;  /* of booleans: a bit a row */
    int32_t *ends;   /* of texts and numbers: where each begins, and where the last ends */
    char *data;
    size_t size, room;
} Column;

typedef struct {
    Column *columns;
    Py_ssize_t width, rows;
    int only; /* whether other fields are passed over */
} Plan;

typedef struct {
    const unsigned char *at, *end;
} Cursor;

static int reserve(Column *column, size_t more)
{
    if (column->room - column->size >= more)
        return DONE;
    size_t room = column->room * 2 > column->size + more ? column->room * 2 : column->size + more;
    char *data = realloc(column->data, room);
    if (data == NULL)
        return FULL;
    column->data = data;
    column->room = room;
    return DONE;
}

static void blanks(Cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

/* Whether the next byte is this one, which is passed then. */
static int passes(Cursor *c, unsigned char byte)
{
    if (c->at == c->end || *c->at != byte)
        return 0;
    c->at++;
    return 1;
}

/* Whether any of eight bytes is a quotation mark, a backslash, a control character or not ASCII. */
static int special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return ((word | (word - ones * ' ') | (quote - ones) | (slash - ones)) & high) != 0;
}

/* How many bytes the character here has in UTF-8, or 0: too long, half of a surrogate pair, cut off, too large. */
static int character(const unsigned char *at, const unsigned char *end)
{
    unsigned first = at[0];
    int length = first >= 0xC2 && first <= 0xDF ? 2 : (first & 0xF0) == 0xE0 ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
    if (length == 0 || end - at < length)
        return 0;
    for (int i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) || (first == 0xF0 && at[1] < 0x90) ||
        (first == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

/* Four hexadecimal digits; -1 where they are none. */
static int32_t hexadecimal(Cursor *c)
{
    int32_t value = 0;
    if (c->end - c->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned digit = *c->at++;
        if (digit >= '0' && digit <= '9')
            digit -= '0';
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            digit = (digit | 0x20) - 'a' + 10;
        else
            return -1;
        value = value * 16 + (int32_t)digit;
    }
    return value;
}

/* What follows \u, as UTF-8 of at most four bytes; how many they are, or 0 for half of a surrogate pair and no digits. */
static int escaped(Cursor *c, char *out)
{
    int32_t code = hexadecimal(c);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return 0;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (!passes(c, '\\') || !passes(c, 'u'))
            return 0;
        int32_t low = hexadecimal(c);
        if (low < 0xDC00 || low > 0xDFFF)
            return 0;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((length == 2 ? 0xC0 : length == 3 ? 0xE0 : 0xF0) | code);
    return length;
}

/* A text, behind its first quotation mark: to `out`, which has room for what is left of the message, or to nobody. */
static int text(Cursor *c, char *out, size_t *size)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    char scrap[8], *to = out;
    for (;;) {
        while (c->end - c->at >= 8) {
            uint64_t word;
            memcpy(&word, c->at, 8);
            if (special(word))
                break;
            if (out != NULL) {
                memcpy(to, &word, 8);
                to += 8;
            }
            c->at += 8;
        }
        if (out == NULL)
            to = scrap;
        if (c->at == c->end || *c->at < ' ')
            return ODD;
        if (*c->at == '"') {
            c->at++;
            if (out != NULL)
                *size = (size_t)(to - out);
            return DONE;
        }
        if (*c->at >= 0x80) {
            int length = character(c->at, c->end);
            if (length == 0)
                return ODD;
            memcpy(to, c->at, (size_t)length);
            to += length;
            c->at += length;
        } else if (*c->at != '\\') {
            *to++ = (char)*c->at++;
        } else {
            c->at++;
            if (passes(c, 'u')) {
                int length = escaped(c, to);
                if (length == 0)
                    return ODD;
                to += length;
            } else {
                const char *found = c->at < c->end && *c->at ? strchr(FROM, *c->at) : NULL;
                if (found == NULL)
                    return ODD;
                *to++ = TO[found - FROM];
                c->at++;
            }
        }
    }
}

static int digits(Cursor *c)
{
    const unsigned char *first = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > first;
}

/* A number as JSON writes it, and nothing of what is behind it. */
static int number(Cursor *c)
{
    passes(c, '-');
    if (!passes(c, '0') && !digits(c))
        return ODD;
    if (passes(c, '.') && !digits(c))
        return ODD;
    if (passes(c, 'e') || passes(c, 'E')) {
        if (!passes(c, '+'))
            passes(c, '-');
        if (!digits(c))
            return ODD;
    }
    return DONE;
}

static int literal(Cursor *c, const char *expected, Py_ssize_t length)
{
    if (c->end - c->at < length || memcmp(c->at, expected, (size_t)length) != 0)
        return ODD;
    c->at += length;
    return DONE;
}

static int passed(Cursor *c, int depth);

/* An object or a list that nobody wants, behind its first bracket. */
static int passed_within(Cursor *c, int depth, unsigned char last)
{
    if (depth > DEEPEST)
        return ODD;
    blanks(c);
    if (passes(c, last))
        return DONE;
    for (;;) {
        blanks(c);
        if (last == '}') {
            if (!passes(c, '"') || text(c, NULL, NULL) != DONE)
                return ODD;
            blanks(c);
            if (!passes(c, ':'))
                return ODD;
            blanks(c);
        }
        if (passed(c, depth) != DONE)
            return ODD;
        blanks(c);
        if (passes(c, last))
            return DONE;
        if (!passes(c, ','))
            return ODD;
    }
}

/* A value that nobody wants. */
static int passed(Cursor *c, int depth)
{
    if (c->at == c->end)
        return ODD;
    switch (*c->at) {
    case '"':
        c->at++;
        return text(c, NULL, NULL);
    case '{':
        c->at++;
        return passed_within(c, depth + 1, '}');
    case '[':
        c->at++;
        return passed_within(c, depth + 1, ']');
    case 't':
        return literal(c, "true", 4);
    case 'f':
        return literal(c, "false", 5);
    case 'n':
        return literal(c, "null", 4);
    default:
        return number(c);
    }
}

/* A value for a column. */
static int value(Cursor *c, Column *column, Py_ssize_t row)
{
    if (c->at == c->end)
        return ODD;
    if (*c->at == 'n')
        return literal(c, "null", 4);
    if (column->kind == BOOLEAN) {
        int truth = *c->at == 't';
        if (truth ? literal(c, "true", 4) : literal(c, "false", 5))
            return ODD;
        column->truth[row >> 3] |= (uint8_t)(truth << (row & 7));
    } else {
        if (reserve(column, (size_t)(c->end - c->at)) != DONE)
            return FULL;
        char *out = column->data + column->size;
        size_t size = 0;
        if (column->kind == TEXT) {
            if (!passes(c, '"') || text(c, out, &size) != DONE)
                return ODD;
        } else {
            const unsigned char *first = c->at;
            if (number(c) != DONE)
                return ODD;
            size = (size_t)(c->at - first);
            memcpy(out, first, size);
        }
        column->size += size;
    }
    column->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
    return DONE;
}

static int named(const Cursor *c, const Column *column)
{
    return c->end - c->at > column->length && c->at[column->length] == '"' &&
           memcmp(c->at, column->name, (size_t)column->length) == 0;
}

/* The column of the name here, behind its first quotation mark; NULL where there is none, and nothing is passed then.
 *
 * Looked for from the one on that is expected: fields mostly come in the order of the columns.
 */
static Column *column_of(Cursor *c, const Plan *plan, Py_ssize_t *expected)
{
    for (Py_ssize_t tried = 0, i = *expected; tried < plan->width; tried++, i++) {
        Column *column = &plan->columns[i < plan->width ? i : (i = 0)];
        if (named(c, column)) {
            c->at += column->length + 1;
            *expected = i + 1;
            return column;
        }
    }
    return NULL;
}

/* Behind a name that is no column's; ODD where it has an escape, as it may be a column's then. */
static int other_name(Cursor *c)
{
    const unsigned char *first = c->at;
    if (text(c, NULL, NULL) != DONE || memchr(first, '\\', (size_t)(c->at - first)) != NULL)
        return ODD;
    return DONE;
}

static int message(Cursor *c, const Plan *plan, Py_ssize_t row)
{
    Py_ssize_t expected = 0;
    blanks(c);
    if (!passes(c, '{'))
        return ODD;
    blanks(c);
    int more = !passes(c, '}');
    while (more) {
        blanks(c);
        if (!passes(c, '"'))
            return ODD;
        Column *column = column_of(c, plan, &expected);
        if (column == NULL && (!plan->only || other_name(c) != DONE))
            return ODD;
        blanks(c);
        if (!passes(c, ':'))
            return ODD;
        blanks(c);
        int found = DONE;
        if (column == NULL)
            found = passed(c, 1);
        else if (column->seen == row)
            found = ODD;
        else {
            column->seen = row;
            found = value(c, column, row);
        }
        if (found != DONE)
            return found;
        blanks(c);
        more = !passes(c, '}');
        if (more && !passes(c, ','))
            return ODD;
    }
    blanks(c);
    return c->at == c->end ? DONE : ODD;
}

/* Messages side by side, as Arrow has them: where each begins, and where the last ends. */
typedef struct {
    Py_buffer data, ends;
} Messages;

static int scanned(const Messages *messages, const Plan *plan)
{
    const int32_t *ends = messages->ends.buf;
    for (Py_ssize_t row = 0; row < plan->rows; row++) {
        Cursor cursor = {(const unsigned char *)messages->data.buf + ends[row], NULL};
        cursor.end = cursor.at + (ends[row + 1] - ends[row]);
        int found = message(&cursor, plan, row);
        if (found != DONE)
            return found;
        for (Py_ssize_t i = 0; i < plan->width; i++)
            if (plan->columns[i].ends != NULL)
                plan->columns[i].ends[row + 1] = (int32_t)plan->columns[i].size;
    }
    return DONE;
}

/* Whether each message is within the data, and begins where the one before it ends at the earliest. */
static int within(const Messages *messages, Py_ssize_t rows)
{
    if (rows < 0 || rows >= messages->ends.len / (Py_ssize_t)sizeof(int32_t))
        return 0;
    const int32_t *ends = messages->ends.buf;
    for (Py_ssize_t row = 0; row < rows; row++)
        if (ends[row] < 0 || ends[row] > ends[row + 1])
            return 0;
    return ends[rows] >= 0 && ends[rows] <= messages->data.len;
}

static int prepared(Column *column, PyObject *name, char kind, Py_ssize_t rows)
{
    char *first;
    if (PyBytes_AsStringAndSize(name, &first, &column->length) < 0)
        return -1;
    column->name = first;
    column->kind = kind;
    column->seen = -1;
    size_t bits = (size_t)(rows + 7) / 8 + 1;
    column->valid = calloc(bits, 1);
    if (kind == BOOLEAN)
        column->truth = calloc(bits, 1);
    else
        column->ends = calloc((size_t)rows + 1, sizeof(int32_t));
    if (column->valid == NULL || (column->truth == NULL && column->ends == NULL)) {
        PyErr_NoMemory();
        return -1;
    }
    return DONE;
}

/* Whether a name stands in JSON as it is, so that bytes tell it from others. */
static int plain(const Column *column)
{
    for (Py_ssize_t i = 0; i < column->length; i++) {
        unsigned char byte = (unsigned char)column->name[i];
        if (byte < ' ' || byte == '"' || byte == '\\')
            return 0;
    }
    return 1;
}

/* (valid, truth) of booleans, (valid, ends, data) of texts and numbers. */
static PyObject *given(const Column *column, Py_ssize_t rows)
{
    Py_ssize_t bits = (rows + 7) / 8;
    if (column->kind == BOOLEAN)
        return Py_BuildValue("y#y#", column->valid, bits, column->truth, bits);
    return Py_BuildValue(
        "y#y#y#", column->valid, bits, (char *)column->ends, (rows + 1) * (Py_ssize_t)sizeof(int32_t),
        column->data == NULL ? "" : column->data, (Py_ssize_t)column->size
    );
}

static PyObject *all_given(const Plan *plan)
{
    PyObject *made = PyList_New(plan->width);
    for (Py_ssize_t i = 0; made != NULL && i < plan->width; i++) {
        PyObject *one = given(&plan->columns[i], plan->rows);
        if (one == NULL || PyList_SetItem(made, i, one) < 0) {
            Py_DECREF(made);
            return NULL;
        }
    }
    return made;
}

static PyObject *run(const Messages *messages, PyObject *names, const char *kinds, const Plan *plan)
{
    int found = DONE;
    for (Py_ssize_t i = 0; found == DONE && i < plan->width; i++) {
        found = prepared(&plan->columns[i], PyTuple_GetItem(names, i), kinds[i], plan->rows);
        if (found == DONE && !plain(&plan->columns[i]))
            found = ODD;
    }
    if (found < 0)
        return NULL;
    if (found == DONE) {
        Py_BEGIN_ALLOW_THREADS
        found = scanned(messages, plan);
        Py_END_ALLOW_THREADS
    }
    if (found == FULL)
        return PyErr_NoMemory();
    if (found == ODD)
        Py_RETURN_NONE;
    return all_given(plan);
}

static PyObject *checked_run(const Messages *messages, PyObject *names, const char *kinds, Py_ssize_t count, Plan *plan)
{
    plan->width = PyTuple_Size(names);
    if (count != plan->width || (Py_ssize_t)strspn(kinds, "tnb") != count || !within(messages, plan->rows)) {
        PyErr_SetString(PyExc_ValueError, "wanted: a kind (t, n or b) for each name, and messages within the data");
        return NULL;
    }
    plan->columns = calloc((size_t)plan->width + 1, sizeof(Column));
    if (plan->columns == NULL)
        return PyErr_NoMemory();
    PyObject *made = run(messages, names, kinds, plan);
    for (Py_ssize_t i = 0; i < plan->width; i++) {
        free(plan->columns[i].valid);
        free(plan->columns[i].truth);
        free(plan->columns[i].ends);
        free(plan->columns[i].data);
    }
    free(plan->columns);
    return made;
}

static PyObject *scan(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Messages messages;
    PyObject *names;
    const char *kinds;
    Py_ssize_t count;
    Plan plan = {0};
    if (!PyArg_ParseTuple(
            arguments, "y*y*nO!y#p", &messages.data, &messages.ends, &plan.rows, &PyTuple_Type, &names, &kinds, &count,
            &plan.only
        ))
        return NULL;
    PyObject *made = checked_run(&messages, names, kinds, count, &plan);
    PyBuffer_Release(&messages.data);
    PyBuffer_Release(&messages.ends);
    return made;
}

static PyMethodDef module_methods[] = {
    {"scan", scan, METH_VARARGS, "scan(data, ends, rows, names, kinds, only): the columns of messages, or None; see scanned.py."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_scanner", "Messages of JSON as columns; see scanned.py.", 0, module_methods, module_slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__scanner(void)
{
    return PyModuleDef_Init(&module_def);
}
