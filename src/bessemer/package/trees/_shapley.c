/* Shapley values of trees: (N, F) float32 features -> float64 sums added to (N, C) columns.
 *
 * A path from a root to a leaf asks some players, at most 64, each a feature or a group of them; bit i of a pattern says
 * whether a row keeps all that the path asks of its i-th player. What a leaf gives to its players is a function of the
 * row's pattern alone, so there are two ways to find it:
 *
 * - `add` looks it up. A leaf of p players has a table of 2^p lines, made beforehand, with a number for each of its columns
 *   (players, or pairs of them). Rows go down a tree together, ROWS at once, level by level, with their patterns.
 * - `against` needs no table and takes trees of any depth: a row and a row of the background go down together. Where they
 *   part, both ways are followed, and the player is noted: whose value leads there (Lundberg et al. 2020; Laberge and
 *   Pequignot 2022). A leaf that needs a players of the row and b of the background gives v (a-1)! b! / (a+b)! to each of
 *   the first and takes v a! (b-1)! / (a+b)! from each of the others.
 *
 * All a walk relies on is checked when a Leaves is made; it does not change, so any number of threads may use it. Only the
 * limited API of Python 3.11 and the buffer protocol are used, and nothing but the C library.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 64    /* rows that go down a tree together */
#define TABLED 16  /* players of a leaf with a table, at most */
#define PLAYERS 64 /* players of a path, at most */

typedef struct {
    float threshold;
    int32_t feature, left, right; /* a child is a branch of the whole, or -1 - leaf of the whole */
    uint8_t missing_left, bit;
} Branch;

typedef struct {
    double value;
    int64_t table; /* where its lines begin */
    int64_t column; /* where its columns begin */
    int32_t width;
    uint8_t players;
} Leaf;

typedef struct {
    PyObject_HEAD
    Py_ssize_t features, columns, trees, branches, leaves, cells;
    int plain; /* whether each leaf has a column for each of its players */
    int most; /* players of a path */
    int32_t depth;
    int32_t *root; /* of each tree, as a child */
    Branch *branch;
    Leaf *leaf;
    int32_t *column;
    double *table;
    double (*first)[PLAYERS + 1], (*second)[PLAYERS + 1]; /* the two weights, by a and b */
} Leaves;

/* ---- making one ------------------------------------------------------------------------------------------------ */

typedef struct {
    Py_buffer view;
    int held;
} Array;

static int take(PyObject *from, Array *to, const char *what, const char *formats, Py_ssize_t size, Py_ssize_t count)
{
    if (PyObject_GetBuffer(from, &to->view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0)
        return -1;
    to->held = 1;
    const char *format = to->view.format ? to->view.format : "B";
    if (to->view.ndim != 1 || to->view.itemsize != size || strlen(format) != 1 || !strchr(formats, format[0])) {
        PyErr_Format(PyExc_ValueError, "%s must be one-dimensional, of format '%s'", what, formats);
        return -1;
    }
    if (count >= 0 && to->view.shape[0] != count) {
        PyErr_Format(PyExc_ValueError, "%s has %zd items, and %zd are needed", what, to->view.shape[0], count);
        return -1;
    }
    return 0;
}

static void *allocate(size_t count, size_t size)
{
    void *made = count <= PY_SSIZE_T_MAX / size ? calloc(count ? count : 1, size) : NULL;
    if (made == NULL)
        PyErr_NoMemory();
    return made;
}

enum { BRANCHES, FEATURE, THRESHOLD, MISSING, LEFT, RIGHT, BIT, VALUE, PLAYER, WIDTH, COLUMN, TABLE, ARRAYS };
static const struct {
    const char *name, *formats;
    Py_ssize_t size;
} expected[ARRAYS] = {
    {"branches", "il", 4}, {"feature", "il", 4}, {"threshold", "f", 4}, {"missing_left", "?B", 1},
    {"left", "il", 4},     {"right", "il", 4},   {"bit", "B", 1},       {"value", "d", 8},
    {"players", "B", 1},   {"width", "il", 4},   {"column", "il", 4},   {"table", "d", 8},
};

/* Give a child its place: once, behind its branch. The path to it has `level` branches and asks `most` players. */
static int place(Leaves *self, int32_t child, int32_t count, Py_ssize_t at, Py_ssize_t first_leaf, int32_t level, int most,
                 int32_t *levels, uint8_t *reached, uint8_t *mosts, uint8_t *leaf_reached)
{
    if (child >= 0) {
        if (child <= at || child >= count || reached[child])
            return -1;
        reached[child] = 1;
        levels[child] = level;
        mosts[child] = (uint8_t)most;
        return 0;
    }
    Py_ssize_t leaf = -1 - (Py_ssize_t)child;
    if (leaf > count || leaf_reached[first_leaf + leaf] || self->leaf[first_leaf + leaf].players < most)
        return -1;
    leaf_reached[first_leaf + leaf] = 1;
    return 0;
}

/* One tree: its branches and leaves are numbered within it, and become numbers of the whole. */
static int link_tree(Leaves *self, Py_ssize_t first, int32_t count, Py_ssize_t first_leaf, int32_t *levels, uint8_t *reached,
                     uint8_t *mosts, uint8_t *leaf_reached)
{
    memset(reached, 0, (size_t)count);
    if (count) {
        reached[0] = 1;
        levels[0] = 0;
        mosts[0] = 0;
    }
    for (int32_t b = 0; b < count; b++) {
        Branch *branch = &self->branch[first + b];
        int most = branch->bit + 1 > mosts[b] ? branch->bit + 1 : mosts[b];
        if (!reached[b] || branch->feature < 0 || branch->feature >= self->features || branch->bit >= PLAYERS ||
            place(self, branch->left, count, b, first_leaf, levels[b] + 1, most, levels, reached, mosts, leaf_reached) < 0 ||
            place(self, branch->right, count, b, first_leaf, levels[b] + 1, most, levels, reached, mosts, leaf_reached) < 0) {
            PyErr_Format(PyExc_ValueError, "branch %zd is not one of a tree", first + b);
            return -1;
        }
        if (levels[b] + 1 > self->depth)
            self->depth = levels[b] + 1;
        branch->left = branch->left >= 0 ? branch->left + (int32_t)first : branch->left - (int32_t)first_leaf;
        branch->right = branch->right >= 0 ? branch->right + (int32_t)first : branch->right - (int32_t)first_leaf;
    }
    return 0;
}

static int link_all(Leaves *self, const int32_t *branches)
{
    int32_t *levels = allocate((size_t)self->branches, sizeof(int32_t));
    uint8_t *reached = allocate((size_t)self->branches, 1), *mosts = allocate((size_t)self->branches, 1);
    uint8_t *leaf_reached = allocate((size_t)self->leaves, 1);
    int done = levels && reached && mosts && leaf_reached ? 0 : -1;
    Py_ssize_t first = 0;
    for (Py_ssize_t t = 0; t < self->trees && done == 0; t++) {
        if (branches[t] < 0 || branches[t] > self->branches - first) {
            PyErr_Format(PyExc_ValueError, "tree %zd has %d branches", t, branches[t]);
            done = -1;
            break;
        }
        self->root[t] = branches[t] ? (int32_t)first : (int32_t)(-1 - (first + t));
        done = link_tree(self, first, branches[t], first + t, levels, reached, mosts, leaf_reached);
        first += branches[t];
    }
    if (done == 0 && first != self->branches) {
        PyErr_SetString(PyExc_ValueError, "there are branches of no tree");
        done = -1;
    }
    free(levels);
    free(reached);
    free(mosts);
    free(leaf_reached);
    return done;
}

/* Where each leaf's columns and lines begin. */
static int lay_out(Leaves *self, const Array *arrays)
{
    const uint8_t *players = arrays[PLAYER].view.buf;
    const int32_t *width = arrays[WIDTH].view.buf;
    const double *value = arrays[VALUE].view.buf;
    int64_t cells = 0, columns = 0;
    self->plain = 1;
    for (Py_ssize_t i = 0; i < self->leaves; i++) {
        int tabled = self->cells > 0;
        if (players[i] > (tabled ? TABLED : PLAYERS) || width[i] < 0 || width[i] > 1 << 16) {
            PyErr_Format(PyExc_ValueError, "leaf %zd has too many players or columns", i);
            return -1;
        }
        self->leaf[i] = (Leaf){value[i], cells, columns, width[i], players[i]};
        if (players[i] > self->most)
            self->most = players[i];
        self->plain = self->plain && width[i] == players[i];
        columns += width[i];
        cells += tabled ? (int64_t)width[i] << players[i] : 0;
    }
    if (columns != arrays[COLUMN].view.shape[0] || cells != self->cells) {
        PyErr_SetString(PyExc_ValueError, "column or table is of another length than the leaves need");
        return -1;
    }
    for (int64_t i = 0; i < columns; i++)
        if (self->column[i] < 0 || self->column[i] >= self->columns) {
            PyErr_Format(PyExc_ValueError, "there is no column %d", self->column[i]);
            return -1;
        }
    return 0;
}

static int weigh(Leaves *self)
{
    self->first = allocate(PLAYERS + 1, sizeof *self->first);
    self->second = allocate(PLAYERS + 1, sizeof *self->second);
    if (self->first == NULL || self->second == NULL)
        return -1;
    for (int a = 1; a <= PLAYERS; a++) { /* w(a, b) = (a - 1)! b! / (a + b)! */
        double w = 1.0 / a;
        for (int b = 0; b <= PLAYERS; b++) {
            self->first[a][b] = w;
            self->second[b][a] = w;
            w *= (double)(b + 1) / (a + b + 1);
        }
    }
    return 0;
}

static int make(Leaves *self, PyObject **from, Array *arrays)
{
    for (int i = 0; i < ARRAYS; i++) {
        Py_ssize_t count = -1;
        if (i > FEATURE && i <= BIT)
            count = arrays[FEATURE].view.shape[0];
        else if (i >= VALUE && i <= WIDTH)
            count = arrays[FEATURE].view.shape[0] + arrays[BRANCHES].view.shape[0];
        if (take(from[i], &arrays[i], expected[i].name, expected[i].formats, expected[i].size, count) < 0)
            return -1;
    }
    self->trees = arrays[BRANCHES].view.shape[0];
    self->branches = arrays[FEATURE].view.shape[0];
    self->leaves = self->trees + self->branches;
    self->cells = arrays[TABLE].view.shape[0];
    Py_ssize_t columns = arrays[COLUMN].view.shape[0];
    if (self->features < 1 || self->features > 1 << 24 || self->columns < 1 || self->columns > 1 << 30 ||
        self->leaves > 1 << 28) {
        PyErr_SetString(PyExc_ValueError, "there are too many features, columns or leaves, or none");
        return -1;
    }
    self->root = allocate((size_t)self->trees, sizeof(int32_t));
    self->branch = allocate((size_t)self->branches, sizeof(Branch));
    self->leaf = allocate((size_t)self->leaves, sizeof(Leaf));
    self->column = allocate((size_t)columns, sizeof(int32_t));
    self->table = allocate((size_t)self->cells, sizeof(double));
    if (!self->root || !self->branch || !self->leaf || !self->column || !self->table || weigh(self) < 0)
        return -1;
    for (Py_ssize_t b = 0; b < self->branches; b++)
        self->branch[b] = (Branch){
            ((const float *)arrays[THRESHOLD].view.buf)[b],  ((const int32_t *)arrays[FEATURE].view.buf)[b],
            ((const int32_t *)arrays[LEFT].view.buf)[b],     ((const int32_t *)arrays[RIGHT].view.buf)[b],
            ((const uint8_t *)arrays[MISSING].view.buf)[b] != 0, ((const uint8_t *)arrays[BIT].view.buf)[b]};
    memcpy(self->column, arrays[COLUMN].view.buf, (size_t)columns * sizeof(int32_t));
    memcpy(self->table, arrays[TABLE].view.buf, (size_t)self->cells * sizeof(double));
    return lay_out(self, arrays) < 0 ? -1 : link_all(self, arrays[BRANCHES].view.buf);
}

static PyObject *leaves_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"features", "columns", "branches", "feature", "threshold", "missing_left", "left", "right",
                            "bit",      "value",   "players",  "width",   "column",    "table",        NULL};
    Py_ssize_t features, columns;
    PyObject *from[ARRAYS];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nnOOOOOOOOOOOO:Leaves", names, &features, &columns, &from[0], &from[1],
                                     &from[2], &from[3], &from[4], &from[5], &from[6], &from[7], &from[8], &from[9],
                                     &from[10], &from[11]))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Leaves *self = (Leaves *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->features = features;
    self->columns = columns;
    Array arrays[ARRAYS] = {0};
    int done = make(self, from, arrays);
    for (int i = 0; i < ARRAYS; i++)
        if (arrays[i].held)
            PyBuffer_Release(&arrays[i].view);
    if (done < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void leaves_dealloc(PyObject *object)
{
    Leaves *self = (Leaves *)object;
    PyTypeObject *type = Py_TYPE(object);
    free(self->root);
    free(self->branch);
    free(self->leaf);
    free(self->column);
    free(self->table);
    free(self->first);
    free(self->second);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

/* ---- patterns, and looking them up ------------------------------------------------------------------------------ */

typedef struct {
    int32_t branch, child, level; /* the child of a branch that is to be gone to, and its level */
} Step;

/* What a walk over ROWS rows needs: their features side by side, and a line of patterns for each level. */
typedef struct {
    float *x;
    uint32_t *pattern;
    Step *steps;
} Scratch;

static int prepare(const Leaves *self, Scratch *scratch)
{
    size_t levels = (size_t)self->depth + 1;
    scratch->x = malloc((size_t)self->features * ROWS * sizeof(float));
    scratch->pattern = malloc(levels * ROWS * sizeof(uint32_t));
    scratch->steps = malloc((levels + 1) * sizeof(Step));
    if (scratch->x && scratch->pattern && scratch->steps)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static void release(Scratch *scratch)
{
    free(scratch->x);
    free(scratch->pattern);
    free(scratch->steps);
}

/* The patterns of rows one level down: those that do not go to this side lose the branch's bit. */
static void go_down(const Branch *branch, int right, const float *x, const uint32_t *above, uint32_t *below, int count)
{
    const float threshold = branch->threshold;
    const uint32_t missing = branch->missing_left, bit = (uint32_t)1 << branch->bit, side = right ? 0 : 1;
    for (int r = 0; r < count; r++) {
        uint32_t left = (uint32_t)(x[r] <= threshold) | ((uint32_t)(x[r] != x[r]) & missing);
        below[r] = above[r] & ~((left ^ side) * bit);
    }
}

/* Add what a leaf gives to each of `count` rows; their sums are `columns` apart. */
static void look_up(const Leaves *self, const Leaf *leaf, const uint32_t *pattern, int count, double *out)
{
    const uint32_t mask = ((uint32_t)1 << leaf->players) - 1;
    const double *table = self->table + leaf->table;
    const int32_t *column = self->column + leaf->column, width = leaf->width;
    for (int r = 0; r < count; r++) {
        const double *line = table + (size_t)(pattern[r] & mask) * (size_t)width;
        double *sums = out + (size_t)r * (size_t)self->columns;
        for (int32_t k = 0; k < width; k++)
            sums[column[k]] += line[k];
    }
}

static void note(const Leaf *leaf, const uint32_t *pattern, int count, uint32_t *out, Py_ssize_t apart)
{
    const uint32_t mask = leaf->players < 32 ? ((uint32_t)1 << leaf->players) - 1 : UINT32_MAX;
    for (int r = 0; r < count; r++)
        out[(size_t)r * (size_t)apart] = pattern[r] & mask;
}

/* `count` rows through all trees: either their patterns go to `patterns`, or what they are worth is added to `sums`. */
static void walk_block(const Leaves *self, Scratch *scratch, int count, double *sums, uint32_t *patterns)
{
    for (Py_ssize_t t = 0; t < self->trees; t++) {
        Step *top = scratch->steps;
        for (int r = 0; r < count; r++)
            scratch->pattern[r] = UINT32_MAX;
        int32_t child = self->root[t], level = 0;
        for (;;) {
            const uint32_t *here = scratch->pattern + (size_t)level * ROWS;
            if (child >= 0) {
                const Branch *branch = &self->branch[child];
                *top++ = (Step){child, branch->right, level + 1};
                go_down(branch, 0, scratch->x + (size_t)branch->feature * ROWS, here, (uint32_t *)here + ROWS, count);
                child = branch->left;
                level++;
                continue;
            }
            const Leaf *leaf = &self->leaf[-1 - child];
            if (patterns)
                note(leaf, here, count, patterns + (-1 - child), self->leaves);
            else
                look_up(self, leaf, here, count, sums);
            if (top == scratch->steps)
                break;
            Step step = *--top;
            const Branch *branch = &self->branch[step.branch];
            child = step.child;
            level = step.level;
            uint32_t *below = scratch->pattern + (size_t)level * ROWS;
            go_down(branch, 1, scratch->x + (size_t)branch->feature * ROWS, below - ROWS, below, count);
        }
    }
}

static void walk_all(const Leaves *self, Scratch *scratch, const Py_buffer *x, double *sums, uint32_t *patterns)
{
    Py_ssize_t wide = x->shape[1];
    for (Py_ssize_t start = 0; start < x->shape[0]; start += ROWS) {
        int count = x->shape[0] - start < ROWS ? (int)(x->shape[0] - start) : ROWS;
        for (int r = 0; r < count; r++) {
            const float *row = (const float *)x->buf + (start + r) * wide;
            for (Py_ssize_t f = 0; f < self->features; f++)
                scratch->x[f * ROWS + r] = row[f];
        }
        walk_block(self, scratch, count, sums ? sums + start * self->columns : NULL,
                   patterns ? patterns + start * self->leaves : NULL);
    }
}

/* ---- a row against the rows of a background ---------------------------------------------------------------------- */

typedef struct {
    int32_t child;
    uint64_t ours, theirs; /* players whose value leads here: of the row, of the background */
} Fork;

static int bits_of(uint64_t word)
{
    int count = 0;
    for (; word; word &= word - 1)
        count++;
    return count;
}

static int lowest(uint64_t word)
{
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    int at = 0;
    for (; !(word & 1); word >>= 1)
        at++;
    return at;
#endif
}

static void give(const Leaves *self, const Leaf *leaf, uint64_t players, double worth, double *sums)
{
    const int32_t *column = self->column + leaf->column;
    for (; players; players &= players - 1)
        sums[column[lowest(players)]] += worth;
}

static int goes_left(const Branch *branch, const float *row)
{
    float x = row[branch->feature];
    return x != x ? branch->missing_left : x <= branch->threshold;
}

/* A player that leads one way stays on that way: where `ours` has it, the row decides, whatever the background says. */
static void walk_pair(const Leaves *self, const float *row, const float *other, double weight, Fork *forks, double *sums)
{
    for (Py_ssize_t t = 0; t < self->trees; t++) {
        Fork *top = forks, here = {self->root[t], 0, 0};
        for (;;) {
            if (here.child >= 0) {
                const Branch *branch = &self->branch[here.child];
                const uint64_t bit = (uint64_t)1 << branch->bit;
                int32_t mine = goes_left(branch, row) ? branch->left : branch->right;
                int32_t its = goes_left(branch, other) ? branch->left : branch->right;
                if (mine == its || (here.ours & bit)) {
                    here.child = mine;
                } else if (here.theirs & bit) {
                    here.child = its;
                } else {
                    *top++ = (Fork){its, here.ours, here.theirs | bit};
                    here.child = mine;
                    here.ours |= bit;
                }
                continue;
            }
            const Leaf *leaf = &self->leaf[-1 - here.child];
            int a = bits_of(here.ours), b = bits_of(here.theirs);
            double worth = weight * leaf->value;
            give(self, leaf, here.ours, worth * self->first[a][b], sums);
            give(self, leaf, here.theirs, -worth * self->second[a][b], sums);
            if (top == forks)
                break;
            here = *--top;
        }
    }
}

/* weight: (rows, others), or the same line for all rows. */
static void walk_pairs(const Leaves *self, const Py_buffer *x, const Py_buffer *others, const Py_buffer *weight, Fork *forks,
                       double *sums)
{
    Py_ssize_t wide = x->shape[1], apart = others->shape[1], count = others->shape[0];
    for (Py_ssize_t r = 0; r < x->shape[0]; r++) {
        const double *line = (const double *)weight->buf + (weight->shape[0] == 1 ? 0 : r * count);
        for (Py_ssize_t z = 0; z < count; z++)
            walk_pair(self, (const float *)x->buf + r * wide, (const float *)others->buf + z * apart, line[z], forks,
                      sums + r * self->columns);
    }
}

static void walk_sums(const Leaves *self, const Py_buffer *x, double *sums)
{
    for (Py_ssize_t r = 0; r < x->shape[0]; r++) {
        const float *row = (const float *)x->buf + r * x->shape[1];
        double sum = 0;
        for (Py_ssize_t t = 0; t < self->trees; t++) {
            int32_t child = self->root[t];
            while (child >= 0) {
                const Branch *branch = &self->branch[child];
                child = goes_left(branch, row) ? branch->left : branch->right;
            }
            sum += self->leaf[-1 - child].value;
        }
        sums[r] += sum;
    }
}

/* ---- the methods ------------------------------------------------------------------------------------------------- */

/* A matrix of one format with `rows` rows (any number where negative) and `columns` columns, or more where `more`. */
static int take_matrix(PyObject *from, Py_buffer *to, const char *what, const char *formats, int writable, Py_ssize_t rows,
                       Py_ssize_t columns, int more)
{
    if (PyObject_GetBuffer(from, to, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return -1;
    const char *format = to->format ? to->format : "B";
    if (to->ndim == 2 && (rows < 0 || to->shape[0] == rows) && (to->shape[1] == columns || (more && to->shape[1] > columns)) &&
        strlen(format) == 1 && strchr(formats, format[0]) && (formats[0] != 'I' || to->itemsize == 4))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be of shape (N, %zd%s) and format '%s'", what, columns, more ? " or more" : "",
                 formats);
    PyBuffer_Release(to);
    return -1;
}

/* x and out, and the walk over both: `add` or `patterns`. */
static PyObject *walked(PyObject *object, PyObject *const *args, Py_ssize_t count, int patterns)
{
    const Leaves *self = (Leaves *)object;
    Py_buffer x, out;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "it takes two arrays, x and out");
        return NULL;
    }
    if (patterns ? self->most > 32 : self->leaves > 0 && self->cells == 0 && self->most > 0) {
        PyErr_SetString(PyExc_ValueError, patterns ? "a path has more than 32 players" : "the leaves have no tables");
        return NULL;
    }
    if (take_matrix(args[0], &x, "x", "f", 0, -1, self->features, 1) < 0)
        return NULL;
    if (take_matrix(args[1], &out, "out", patterns ? "IL" : "d", 1, x.shape[0], patterns ? self->leaves : self->columns, 0) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    Scratch scratch = {0};
    int done = prepare(self, &scratch);
    if (done == 0) {
        PyThreadState *state = PyEval_SaveThread();
        walk_all(self, &scratch, &x, patterns ? NULL : out.buf, patterns ? out.buf : NULL);
        PyEval_RestoreThread(state);
    }
    release(&scratch);
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *leaves_add(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return walked(self, args, count, 0);
}

static PyObject *leaves_patterns(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return walked(self, args, count, 1);
}

static PyObject *leaves_sums(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    const Leaves *self = (Leaves *)object;
    Py_buffer x, out;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "sums(x, out) takes two arrays");
        return NULL;
    }
    if (take_matrix(args[0], &x, "x", "f", 0, -1, self->features, 1) < 0)
        return NULL;
    if (take_matrix(args[1], &out, "out", "d", 1, x.shape[0], 1, 0) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    PyThreadState *state = PyEval_SaveThread();
    walk_sums(self, &x, out.buf);
    PyEval_RestoreThread(state);
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    return Py_NewRef(Py_None);
}

static int run_against(const Leaves *self, const Py_buffer *taken)
{
    const Py_buffer *x = &taken[0], *others = &taken[1], *weight = &taken[2], *out = &taken[3];
    if (weight->shape[0] != 1 && weight->shape[0] != x->shape[0]) {
        PyErr_SetString(PyExc_ValueError, "weight must have one row, or as many as x");
        return -1;
    }
    Fork *forks = malloc(((size_t)self->depth + 1) * sizeof(Fork));
    if (forks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyThreadState *state = PyEval_SaveThread();
    walk_pairs(self, x, others, weight, forks, out->buf);
    PyEval_RestoreThread(state);
    free(forks);
    return 0;
}

static PyObject *leaves_against(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    const Leaves *self = (Leaves *)object;
    Py_buffer taken[4];
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "against(x, background, weight, out) takes four arrays");
        return NULL;
    }
    if (!self->plain) {
        PyErr_SetString(PyExc_ValueError, "a leaf has other columns than its players");
        return NULL;
    }
    int held = 0, done = -1;
    if (take_matrix(args[0], &taken[0], "x", "f", 0, -1, self->features, 1) == 0 && ++held &&
        take_matrix(args[1], &taken[1], "background", "f", 0, -1, self->features, 1) == 0 && ++held &&
        take_matrix(args[2], &taken[2], "weight", "d", 0, -1, taken[1].shape[0], 0) == 0 && ++held &&
        take_matrix(args[3], &taken[3], "out", "d", 1, taken[0].shape[0], self->columns, 0) == 0 && ++held)
        done = run_against(self, taken);
    while (held > 0)
        PyBuffer_Release(&taken[--held]);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the module -------------------------------------------------------------------------------------------------- */

static PyMethodDef leaves_methods[] = {
    {"add", (PyCFunction)(void (*)(void))leaves_add, METH_FASTCALL,
     "add(x, out): add what the tables say of every row of x (N, F) float32 to out (N, C) float64."},
    {"patterns", (PyCFunction)(void (*)(void))leaves_patterns, METH_FASTCALL,
     "patterns(x, out): the pattern of every row at every leaf, to out (N, L) uint32."},
    {"sums", (PyCFunction)(void (*)(void))leaves_sums, METH_FASTCALL,
     "sums(x, out): add the trees' values of every row to out (N, 1) float64."},
    {"against", (PyCFunction)(void (*)(void))leaves_against, METH_FASTCALL,
     "against(x, background, weight, out): add each row's values against each row of the background, times its weight."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot leaves_slots[] = {
    {Py_tp_doc, "Trees with what their leaves are worth to players. ValueError where they are no trees."},
    {Py_tp_new, leaves_new},
    {Py_tp_dealloc, leaves_dealloc},
    {Py_tp_methods, leaves_methods},
    {0, NULL},
};

static PyType_Spec leaves_spec = {
    "bessemer.package.trees._shapley.Leaves", sizeof(Leaves), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, leaves_slots,
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&leaves_spec);
    if (type == NULL)
        return -1;
    int done = PyModule_AddObjectRef(module, "Leaves", type);
    Py_DECREF(type);
    return done;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_shapley", "Shapley values of trees; see tabled.py.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__shapley(void)
{
    return PyModuleDef_Init(&module_def);
}
