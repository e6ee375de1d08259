/* Walking trees: (N, F) float32 features -> (N, K) float32 sums of leaves.
 *
 * A node is eight bytes: a threshold, and a word of a slot (what is compared) and a step (how far on its two children
 * stand, side by side). A walk goes `step + (threshold < slot)` nodes on: no branch, so the processor guesses nothing,
 * and LANES walks that know nothing of each other are under way at once, which hides the time each waits for memory.
 *
 * - Floats are compared as whole numbers of the same order (see `key`), which takes a fraction of the time.
 * - A leaf asks slot 0, which holds the least number, and its step is 0: a walk that has arrived stays. So a tree is
 *   walked to its depth at most, and no tree can be walked for ever.
 * - A missing value (NaN) is the greatest number and goes right. Where it must go left the node asks another slot,
 *   which holds the least instead. There are slots only for what is asked, so the row that is walked over is small.
 * - The threshold of a leaf is its value (one target), or its number (more).
 *
 * Sums are float32, tree after tree from zero, then the base: what onnxruntime's TreeEnsembleRegressor does on one
 * thread, and so the same bits. Everything a walk relies on is checked when a Walker is made; after that it does not
 * change, and any number of threads may use it.
 *
 * Only the limited API of Python 3.11 and the buffer protocol are used, and nothing but the C library.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define KEEP(pointer) __asm__("" : "+r"(pointer)) /* in a register of its own, not taken apart into sums */
#else
#define INLINE static inline
#define KEEP(pointer) (void)0
#endif

#define LANES 8           /* walks at once; a power of two */
#define SCRATCH (1 << 16) /* bytes of slots that are walked over at once */
#define MAX_ROWS 512      /* rows that are walked over at once */
#define FEW 4             /* fewer rows than this are walked alone, LANES trees at once */
#define ALONE (1 << 15)   /* steps (or numbers) from which on other threads may have the interpreter meanwhile */

/* How many bits of a word are the slot (times LANES): few for large trees, or many for many features. */
#define NARROW 13
#define WIDE 16

typedef struct {
    uint32_t threshold;
    uint32_t word;
} Node;

typedef struct {
    uint32_t first; /* its root among the nodes */
    uint32_t depth;
    int even; /* whether all nodes of a level ask the same, as CatBoost grows trees */
} Tree;

typedef struct {
    PyObject_HEAD
    Py_ssize_t features, targets, trees, leaves, width;
    Py_ssize_t slots, rights; /* slots 1 to rights - 1 keep NaN, those from `rights` on have -inf instead */
    unsigned bits; /* of a slot in a word */
    uint64_t work; /* steps a row */
    Node *nodes;
    Tree *tree;
    uint32_t *order;        /* trees by depth */
    uint32_t *slot_feature; /* of each slot */
    float *value;           /* (leaves, width), where the node does not hold it */
    uint32_t *target;       /* of each leaf, where width is 1 and there are several targets */
    float *base;            /* of each target */
} Walker;

/* ---- numbers of the same order as floats ----------------------------------------------------------------------- */

#define LEAST ((uint32_t)0)
#define GREATEST UINT32_MAX

/* Of a float that is not NaN: key(a) < key(b) just where a < b, and neither LEAST nor GREATEST. */
INLINE uint32_t key(float x)
{
    uint32_t bits;
    x += 0.0f; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits ^ ((uint32_t)-(int32_t)(bits >> 31) | UINT32_C(0x80000000));
}

/* ---- making one ------------------------------------------------------------------------------------------------ */

typedef struct {
    Py_buffer view;
    int held;
} Array;

/* A one-dimensional array of `count` items (any number where it is negative) of a format and size. */
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

typedef struct {
    const int32_t *root, *feature, *left, *right, *target;
    const float *threshold, *value;
    const uint8_t *missing;
    Py_ssize_t nodes, leaves;
    uint32_t *asked;  /* of feature f: the slot that keeps NaN at 2f, the one that does not at 2f + 1; 0 is none */
    int32_t *queue;   /* the nodes of the tree at hand, in their new order */
    uint32_t *level;  /* and how deep each is */
    uint8_t *seen;    /* nodes that have a place */
    uint8_t *leaf_seen;
} Plan;

static int number_slots(Walker *self, Plan *plan)
{
    for (Py_ssize_t i = 0; i < plan->nodes; i++) {
        if (plan->left[i] < 0)
            continue;
        if (plan->feature[i] < 0 || plan->feature[i] >= self->features) {
            PyErr_Format(PyExc_ValueError, "node %zd asks feature %d of %zd", i, plan->feature[i], self->features);
            return -1;
        }
        plan->asked[2 * (Py_ssize_t)plan->feature[i] + (plan->missing[i] != 0)] = 1;
    }
    Py_ssize_t slots = 1;
    for (int side = 0; side < 2; side++) {
        for (Py_ssize_t f = 0; f < self->features; f++)
            if (plan->asked[2 * f + side])
                plan->asked[2 * f + side] = (uint32_t)slots++;
        if (side == 0)
            self->rights = slots;
    }
    self->slots = slots;
    self->slot_feature = allocate((size_t)slots, sizeof(uint32_t));
    if (self->slot_feature == NULL)
        return -1;
    for (Py_ssize_t f = 0; f < 2 * self->features; f++)
        if (plan->asked[f])
            self->slot_feature[plan->asked[f]] = (uint32_t)(f / 2);
    return 0;
}

static int place(Plan *plan, int32_t node, Py_ssize_t at, uint32_t level)
{
    if (node < 0 || node >= plan->nodes) {
        PyErr_Format(PyExc_ValueError, "there is no node %d", node);
        return -1;
    }
    if (plan->seen[node]) {
        PyErr_Format(PyExc_ValueError, "node %d has more than one place", node);
        return -1;
    }
    plan->seen[node] = 1;
    plan->queue[at] = node;
    plan->level[at] = level;
    return 0;
}

static int make_leaf(Walker *self, Plan *plan, int32_t node, Node *made)
{
    int32_t leaf = -1 - plan->left[node];
    if (leaf >= plan->leaves || plan->leaf_seen[leaf]) {
        PyErr_Format(PyExc_ValueError, "node %d is leaf %d, which is unknown or taken", node, leaf);
        return -1;
    }
    plan->leaf_seen[leaf] = 1;
    if (self->targets == 1)
        memcpy(&made->threshold, &plan->value[leaf], sizeof made->threshold);
    else
        made->threshold = (uint32_t)leaf;
    return 0;
}

/* Whether a packed tree of `count` nodes has all leaves in one level, and the same question in each level above. */
static int is_even(const Node *nodes, uint32_t depth, Py_ssize_t count, unsigned bits)
{
    const uint32_t mask = ((uint32_t)1 << bits) - 1;
    if (depth > 20 || count != ((Py_ssize_t)2 << depth) - 1)
        return 0;
    for (uint32_t d = 0; d < depth; d++) {
        const Node *level = nodes + ((Py_ssize_t)1 << d) - 1;
        for (Py_ssize_t i = 1; i < (Py_ssize_t)1 << d; i++)
            if (level[i].threshold != level[0].threshold || (level[i].word & mask) != (level[0].word & mask))
                return 0;
    }
    return 1;
}

/* Give the nodes of a tree their new places, level after level, two children side by side. */
static int pack(Walker *self, Plan *plan, Py_ssize_t t, Py_ssize_t first)
{
    Py_ssize_t count = 1, limit = (Py_ssize_t)1 << (32 - self->bits);
    if (place(plan, plan->root[t], 0, 0) < 0)
        return -1;
    for (Py_ssize_t at = 0; at < count; at++) {
        int32_t node = plan->queue[at];
        Node *made = &self->nodes[first + at];
        if (plan->left[node] < 0) {
            if (make_leaf(self, plan, node, made) < 0)
                return -1;
            continue;
        }
        if (count - at >= limit) {
            PyErr_SetString(PyExc_ValueError, "a tree has too many nodes side by side");
            return -1;
        }
        if (place(plan, plan->left[node], count, plan->level[at] + 1) < 0 ||
            place(plan, plan->right[node], count + 1, plan->level[at] + 1) < 0)
            return -1;
        made->threshold = plan->threshold[node] != plan->threshold[node] ? LEAST : key(plan->threshold[node]);
        made->word = (uint32_t)(count - at) << self->bits |
                     plan->asked[2 * (Py_ssize_t)plan->feature[node] + (plan->missing[node] != 0)] * LANES;
        count += 2;
    }
    self->tree[t].first = (uint32_t)first;
    self->tree[t].depth = plan->level[count - 1];
    self->tree[t].even = is_even(&self->nodes[first], plan->level[count - 1], count, self->bits);
    self->work += self->tree[t].depth + 1;
    return (int)count;
}

/* Trees by depth: walks that start together are to end together. */
static int sort_trees(Walker *self)
{
    uint32_t deepest = 0;
    for (Py_ssize_t t = 0; t < self->trees; t++)
        if (self->tree[t].depth > deepest)
            deepest = self->tree[t].depth;
    uint32_t *start = allocate((size_t)deepest + 2, sizeof(uint32_t)); /* of each depth, counted one further on */
    if (start == NULL)
        return -1;
    for (Py_ssize_t t = 0; t < self->trees; t++)
        start[self->tree[t].depth + 1]++;
    for (uint32_t d = 1; d <= deepest; d++)
        start[d] += start[d - 1];
    for (Py_ssize_t t = 0; t < self->trees; t++)
        self->order[start[self->tree[t].depth]++] = (uint32_t)t;
    free(start);
    return 0;
}

static int pack_all(Walker *self, Plan *plan)
{
    if (number_slots(self, plan) < 0)
        return -1;
    if (self->slots * LANES > (Py_ssize_t)1 << WIDE) {
        PyErr_SetString(PyExc_ValueError, "the trees ask too many features");
        return -1;
    }
    self->bits = self->slots * LANES <= (Py_ssize_t)1 << NARROW ? NARROW : WIDE;
    Py_ssize_t first = 0;
    for (Py_ssize_t t = 0; t < self->trees; t++) {
        int count = pack(self, plan, t, first);
        if (count < 0)
            return -1;
        first += count;
    }
    if (first != plan->nodes) {
        PyErr_Format(PyExc_ValueError, "%zd of %zd nodes belong to no tree", plan->nodes - first, plan->nodes);
        return -1;
    }
    return sort_trees(self);
}

/* The leaves' numbers, where the nodes do not hold them. */
static int copy_leaves(Walker *self, Plan *plan)
{
    if (self->targets == 1)
        return 0;
    self->value = allocate((size_t)plan->leaves * (size_t)self->width, sizeof(float));
    if (self->value == NULL)
        return -1;
    memcpy(self->value, plan->value, (size_t)plan->leaves * (size_t)self->width * sizeof(float));
    if (self->width != 1)
        return 0;
    self->target = allocate((size_t)plan->leaves, sizeof(uint32_t));
    if (self->target == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < plan->leaves; i++) {
        if (plan->target[i] < 0 || plan->target[i] >= self->targets) {
            PyErr_Format(PyExc_ValueError, "leaf %zd adds to target %d of %zd", i, plan->target[i], self->targets);
            return -1;
        }
        self->target[i] = (uint32_t)plan->target[i];
    }
    return 0;
}

static int build(Walker *self, Plan *plan)
{
    size_t nodes = (size_t)plan->nodes;
    self->nodes = allocate(nodes, sizeof(Node));
    self->tree = allocate((size_t)self->trees, sizeof(Tree));
    self->order = allocate((size_t)self->trees, sizeof(uint32_t));
    plan->asked = allocate(2 * (size_t)self->features, sizeof(uint32_t));
    plan->queue = allocate(nodes, sizeof(int32_t));
    plan->level = allocate(nodes, sizeof(uint32_t));
    plan->seen = allocate(nodes, 1);
    plan->leaf_seen = allocate((size_t)plan->leaves, 1);
    int done = -1;
    if (self->nodes && self->tree && self->order && plan->asked && plan->queue && plan->level && plan->seen &&
        plan->leaf_seen && copy_leaves(self, plan) == 0)
        done = pack_all(self, plan);
    free(plan->asked);
    free(plan->queue);
    free(plan->level);
    free(plan->seen);
    free(plan->leaf_seen);
    return done;
}

static int check_sizes(Walker *self, Plan *plan)
{
    if (self->features < 1 || self->features > 1 << 24 || self->targets < 1 || self->targets > 1 << 16) {
        PyErr_SetString(PyExc_ValueError, "features must be 1 to 2^24, targets 1 to 2^16");
        return -1;
    }
    if (self->width != 1 && self->width != self->targets) {
        PyErr_SetString(PyExc_ValueError, "a leaf has one value, or one for each target");
        return -1;
    }
    if (self->trees < 1 || plan->nodes < self->trees || plan->nodes > 1 << 30 || plan->leaves > 1 << 30) {
        PyErr_SetString(PyExc_ValueError, "there must be 1 to 2^30 nodes, and one for each tree");
        return -1;
    }
    return 0;
}

enum { ROOT, FEATURE, THRESHOLD, MISSING, LEFT, RIGHT, VALUE, TARGET, BASE, ARRAYS };

static int make(Walker *self, PyObject **from, Array *arrays)
{
    Plan plan = {0};
    if (take(from[ROOT], &arrays[ROOT], "root", "il", 4, -1) < 0 ||
        take(from[FEATURE], &arrays[FEATURE], "feature", "il", 4, -1) < 0)
        return -1;
    self->trees = arrays[ROOT].view.shape[0];
    plan.nodes = arrays[FEATURE].view.shape[0];
    if (take(from[THRESHOLD], &arrays[THRESHOLD], "threshold", "f", 4, plan.nodes) < 0 ||
        take(from[MISSING], &arrays[MISSING], "missing_left", "?B", 1, plan.nodes) < 0 ||
        take(from[LEFT], &arrays[LEFT], "left", "il", 4, plan.nodes) < 0 ||
        take(from[RIGHT], &arrays[RIGHT], "right", "il", 4, plan.nodes) < 0 ||
        take(from[TARGET], &arrays[TARGET], "target", "il", 4, -1) < 0)
        return -1;
    plan.leaves = arrays[TARGET].view.shape[0];
    if (check_sizes(self, &plan) < 0 ||
        take(from[VALUE], &arrays[VALUE], "value", "f", 4, plan.leaves * self->width) < 0 ||
        take(from[BASE], &arrays[BASE], "base", "f", 4, self->targets) < 0)
        return -1;
    plan.root = arrays[ROOT].view.buf;
    plan.feature = arrays[FEATURE].view.buf;
    plan.threshold = arrays[THRESHOLD].view.buf;
    plan.missing = arrays[MISSING].view.buf;
    plan.left = arrays[LEFT].view.buf;
    plan.right = arrays[RIGHT].view.buf;
    plan.value = arrays[VALUE].view.buf;
    plan.target = arrays[TARGET].view.buf;
    self->base = allocate((size_t)self->targets, sizeof(float));
    if (self->base == NULL)
        return -1;
    memcpy(self->base, arrays[BASE].view.buf, (size_t)self->targets * sizeof(float));
    self->leaves = plan.leaves;
    return build(self, &plan);
}

static PyObject *walker_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"features", "targets", "width", "root",  "feature", "threshold", "missing_left",
                            "left",     "right",   "value", "target", "base",    NULL};
    Py_ssize_t features, targets, width;
    PyObject *from[ARRAYS];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nnnOOOOOOOOO:Walker", names, &features, &targets, &width,
                                     &from[ROOT], &from[FEATURE], &from[THRESHOLD], &from[MISSING], &from[LEFT],
                                     &from[RIGHT], &from[VALUE], &from[TARGET], &from[BASE]))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Walker *self = (Walker *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->features = features;
    self->targets = targets;
    self->width = width;
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

static void walker_dealloc(PyObject *object)
{
    Walker *self = (Walker *)object;
    PyTypeObject *type = Py_TYPE(object);
    free(self->nodes);
    free(self->tree);
    free(self->order);
    free(self->slot_feature);
    free(self->value);
    free(self->target);
    free(self->base);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

/* ---- walking --------------------------------------------------------------------------------------------------- */

/* What the slots of a row hold; the slots of LANES rows stand side by side, this row's at slot[0], slot[LANES]... */
INLINE void fill(const Walker *self, const float *row, uint32_t *slot)
{
    slot[0] = LEAST;
    for (Py_ssize_t s = 1; s < self->rights; s++) {
        float x = row[self->slot_feature[s]];
        slot[s * LANES] = x != x ? GREATEST : key(x);
    }
    for (Py_ssize_t s = self->rights; s < self->slots; s++) {
        float x = row[self->slot_feature[s]];
        slot[s * LANES] = x != x ? LEAST : key(x);
    }
}

/* LANES walks to the leaves of trees no deeper than `depth`, each from here[l]; the slots of lane l are `apart` * l on. */
INLINE void walk(const Node *nodes, const uint32_t *slot, int apart, uint32_t depth, unsigned bits, uint32_t *here)
{
    const uint32_t mask = ((uint32_t)1 << bits) - 1;
    size_t at[LANES];
    for (int l = 0; l < LANES; l++)
        at[l] = here[l];
    KEEP(slot);
    for (uint32_t d = 0; d < depth; d++) {
        uint32_t steps = 0;
        for (int l = 0; l < LANES; l++) {
            const Node *node = nodes + at[l];
            uint32_t word = node->word;
            steps |= word >> bits;
            at[l] += (size_t)(word >> bits) + (node->threshold < slot[(word & mask) + (uint32_t)(l * apart)]);
        }
        if (!steps) /* all have arrived */
            break;
    }
    for (int l = 0; l < LANES; l++)
        here[l] = (uint32_t)at[l];
}

/* The same for an even tree and LANES rows: the answers of its levels are the number of the leaf. */
INLINE void look_up(const Node *nodes, Tree tree, const uint32_t *slot, unsigned bits, uint32_t *here)
{
    const uint32_t mask = ((uint32_t)1 << bits) - 1, leaves = (uint32_t)1 << tree.depth;
    uint32_t answers[LANES] = {0};
    for (uint32_t level = 1; level < leaves; level *= 2) {
        Node node = nodes[tree.first + level - 1];
        const uint32_t *asked = slot + (node.word & mask);
        for (int l = 0; l < LANES; l++)
            answers[l] = 2 * answers[l] + (node.threshold < asked[l]);
    }
    for (int l = 0; l < LANES; l++)
        here[l] = tree.first + leaves - 1 + answers[l];
}

/* Add the leaf that a walk ended at to the sums of its row. */
INLINE void add(const Walker *self, uint32_t end, float *sum)
{
    if (self->targets == 1) {
        float value;
        memcpy(&value, &end, sizeof value);
        sum[0] += value;
    } else if (self->width == 1) {
        sum[self->target[end]] += self->value[end];
    } else {
        const float *value = self->value + (size_t)end * (size_t)self->width;
        for (Py_ssize_t k = 0; k < self->width; k++)
            sum[k] += value[k];
    }
}

/* One row: LANES trees at once, by depth; then the sums, tree after tree. */
INLINE void walk_row(const Walker *self, const float *row, unsigned bits, uint32_t *scratch, float *sum)
{
    uint32_t *slot = scratch, *end = scratch + self->slots * LANES, here[LANES];
    fill(self, row, slot);
    for (Py_ssize_t t = 0; t < self->trees; t += LANES) {
        Py_ssize_t lanes = self->trees - t < LANES ? self->trees - t : LANES;
        for (Py_ssize_t l = 0; l < LANES; l++)
            here[l] = self->tree[self->order[l < lanes ? t + l : t]].first;
        walk(self->nodes, slot, 0, self->tree[self->order[t + lanes - 1]].depth, bits, here);
        for (Py_ssize_t l = 0; l < lanes; l++)
            end[self->order[t + l]] = self->nodes[here[l]].threshold;
    }
    for (Py_ssize_t t = 0; t < self->trees; t++)
        add(self, end[t], sum);
}

/* The same for LANES walks, or as many of them as there are rows. */
INLINE void add_lanes(const Walker *self, const uint32_t *here, Py_ssize_t rows, float *sums)
{
    if (rows >= LANES) /* a loop of a known length has no counter */
        for (int l = 0; l < LANES; l++)
            add(self, self->nodes[here[l]].threshold, sums + l * self->targets);
    else
        for (Py_ssize_t l = 0; l < rows; l++)
            add(self, self->nodes[here[l]].threshold, sums + l * self->targets);
}

/* Many rows: tree after tree, LANES rows at once. */
INLINE void walk_rows(const Walker *self, Py_ssize_t rows, unsigned bits, const uint32_t *scratch, float *sums)
{
    uint32_t here[LANES];
    for (Py_ssize_t t = 0; t < self->trees; t++) {
        const Tree tree = self->tree[t];
        if (tree.even) {
            for (Py_ssize_t r = 0; r < rows; r += LANES) {
                look_up(self->nodes, tree, scratch + r * self->slots, bits, here);
                add_lanes(self, here, rows - r, sums + r * self->targets);
            }
            continue;
        }
        for (Py_ssize_t r = 0; r < rows; r += LANES) {
            for (int l = 0; l < LANES; l++)
                here[l] = tree.first;
            walk(self->nodes, scratch + r * self->slots, 1, tree.depth, bits, here);
            add_lanes(self, here, rows - r, sums + r * self->targets);
        }
    }
}

/* How many rows are walked over at once: as many as keep their slots in the nearest caches. */
static Py_ssize_t block_rows(const Walker *self, Py_ssize_t rows)
{
    Py_ssize_t block = SCRATCH / (self->slots * (Py_ssize_t)sizeof(uint32_t)) / LANES * LANES;
    if (block < LANES)
        block = LANES;
    if (block > MAX_ROWS)
        block = MAX_ROWS;
    Py_ssize_t whole = (rows + LANES - 1) / LANES * LANES;
    return whole < block ? whole : block;
}

/* x (rows, wide) -> out (rows, targets). */
INLINE void score_all(const Walker *self, const float *x, Py_ssize_t rows, Py_ssize_t wide, unsigned bits, uint32_t *scratch, float *out)
{
    Py_ssize_t block = rows < FEW ? 1 : block_rows(self, rows);
    for (Py_ssize_t start = 0; start < rows; start += block) {
        Py_ssize_t count = rows - start < block ? rows - start : block;
        const float *first = x + start * wide;
        float *sums = out + start * self->targets;
        if (block == 1) {
            walk_row(self, first, bits, scratch, sums);
            continue;
        }
        for (Py_ssize_t r = 0; r < count || r % LANES; r++) /* lanes without a row walk over the first */
            fill(self, first + (r < count ? r : 0) * wide, scratch + r / LANES * LANES * self->slots + r % LANES);
        walk_rows(self, count, bits, scratch, sums);
    }
    for (Py_ssize_t r = 0; r < rows; r++)
        for (Py_ssize_t k = 0; k < self->targets; k++)
            out[r * self->targets + k] += self->base[k];
}

static void score(const Walker *self, const float *x, Py_ssize_t rows, Py_ssize_t wide, uint32_t *scratch, float *out)
{
    memset(out, 0, (size_t)rows * (size_t)self->targets * sizeof(float));
    if (self->bits == NARROW) /* two copies of the loops, each with its number in the instructions */
        score_all(self, x, rows, wide, NARROW, scratch, out);
    else
        score_all(self, x, rows, wide, WIDE, scratch, out);
}

/* A float32 matrix of `columns` columns, or more where `more`. */
static int take_matrix(PyObject *from, Py_buffer *to, const char *what, int flags, Py_ssize_t columns, int more)
{
    if (PyObject_GetBuffer(from, to, PyBUF_FORMAT | flags) < 0)
        return -1;
    int fits = to->ndim == 2 && (to->shape[1] == columns || (more && to->shape[1] > columns));
    if (fits && to->format && !strcmp(to->format, "f"))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be float32 of shape (N, %zd%s)", what, columns, more ? " or more" : "");
    PyBuffer_Release(to);
    return -1;
}

static int run(const Walker *self, const Py_buffer *x, const Py_buffer *out)
{
    Py_ssize_t rows = x->shape[0];
    if (out->shape[0] != rows) {
        PyErr_Format(PyExc_ValueError, "out has %zd rows, and x has %zd", out->shape[0], rows);
        return -1;
    }
    size_t alone = (size_t)self->slots * LANES + (size_t)self->trees;
    size_t many = (size_t)block_rows(self, rows) * (size_t)self->slots;
    size_t size = (rows < FEW ? alone : many) * sizeof(uint32_t);
    uint32_t small[2048], *scratch = size <= sizeof small ? small : malloc(size);
    if (scratch == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyThreadState *state = (uint64_t)rows * self->work > ALONE ? PyEval_SaveThread() : NULL;
    score(self, x->buf, rows, x->shape[1], scratch, out->buf);
    if (state != NULL)
        PyEval_RestoreThread(state);
    if (scratch != small)
        free(scratch);
    return 0;
}

static PyObject *walker_score(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    const Walker *self = (Walker *)object;
    Py_buffer x, out;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "score(x, out) takes two arrays");
        return NULL;
    }
    if (take_matrix(args[0], &x, "x", PyBUF_C_CONTIGUOUS, self->features, 1) < 0)
        return NULL;
    if (take_matrix(args[1], &out, "out", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE, self->targets, 0) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    int done = run(self, &x, &out);
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- columns side by side -------------------------------------------------------------------------------------- */

/* Copy rows [start, end) of a part to its place; +-inf becomes the NaN of numpy and onnx where `finite`. */
static void copy_part(const Py_buffer *part, Py_ssize_t start, Py_ssize_t end, uint32_t *out, Py_ssize_t wide, int finite)
{
    Py_ssize_t down = part->strides[0], right = part->strides[1], columns = part->shape[1];
    for (Py_ssize_t r = start; r < end; r++) {
        const char *from = (const char *)part->buf + r * down;
        for (Py_ssize_t c = 0; c < columns; c++) {
            uint32_t bits;
            memcpy(&bits, from + c * right, sizeof bits);
            if (finite && (bits & UINT32_C(0x7fffffff)) == UINT32_C(0x7f800000))
                bits = UINT32_C(0x7fc00000);
            out[r * wide + c] = bits;
        }
    }
}

static int join_parts(const Py_buffer *out, const Py_buffer *parts, Py_ssize_t count, int finite)
{
    Py_ssize_t rows = out->shape[0], wide = out->shape[1], columns = 0;
    for (Py_ssize_t p = 0; p < count; p++) {
        if (parts[p].shape[0] != rows || parts[p].shape[1] > wide - columns) {
            PyErr_SetString(PyExc_ValueError, "a part has another number of rows, or there are too many columns");
            return -1;
        }
        columns += parts[p].shape[1];
    }
    if (columns != wide) {
        PyErr_Format(PyExc_ValueError, "the parts have %zd columns, and out has %zd", columns, wide);
        return -1;
    }
    PyThreadState *state = rows > ALONE / (wide ? wide : 1) ? PyEval_SaveThread() : NULL;
    for (Py_ssize_t start = 0; start < rows; start += MAX_ROWS) { /* so that what is written stays in the cache */
        Py_ssize_t end = rows - start < MAX_ROWS ? rows : start + MAX_ROWS;
        uint32_t *to = out->buf;
        for (Py_ssize_t p = 0; p < count; p++) {
            copy_part(&parts[p], start, end, to, wide, finite);
            to += parts[p].shape[1];
        }
    }
    if (state != NULL)
        PyEval_RestoreThread(state);
    return 0;
}

static int take_part(PyObject *from, Py_buffer *to)
{
    if (PyObject_GetBuffer(from, to, PyBUF_FORMAT | PyBUF_STRIDES) < 0)
        return -1;
    if (to->ndim == 2 && to->format && !strcmp(to->format, "f"))
        return 0;
    PyErr_SetString(PyExc_ValueError, "a part must be float32 of shape (N, C)");
    PyBuffer_Release(to);
    return -1;
}

static PyObject *walker_join(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    int finite = count < 3 ? -1 : PyObject_IsTrue(args[1]);
    if (finite < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "join(out, finite, part, ...) takes an array, a truth and parts");
        return NULL;
    }
    Py_ssize_t held = 0, parts = count - 2;
    Py_buffer *taken = allocate((size_t)parts + 1, sizeof(Py_buffer)); /* the last is out */
    if (taken == NULL)
        return NULL;
    while (held < parts && take_part(args[2 + held], &taken[held]) == 0)
        held++;
    int done = -1;
    if (held == parts && PyObject_GetBuffer(args[0], &taken[parts], PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) == 0) {
        held++;
        if (taken[parts].ndim == 2 && taken[parts].format && !strcmp(taken[parts].format, "f"))
            done = join_parts(&taken[parts], taken, parts, finite);
        else
            PyErr_SetString(PyExc_ValueError, "out must be float32 of shape (N, C)");
    }
    while (held > 0)
        PyBuffer_Release(&taken[--held]);
    free(taken);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- what follows the sums -------------------------------------------------------------------------------------- */

static PyObject *walker_affine(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    Py_buffer x, steps;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "affine(x, steps) takes two arrays");
        return NULL;
    }
    if (take_matrix(args[0], &x, "x", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE, 1, 0) < 0)
        return NULL;
    if (take_matrix(args[1], &steps, "steps", PyBUF_C_CONTIGUOUS, 2, 0) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    float *value = x.buf;
    for (Py_ssize_t s = 0; s < steps.shape[0]; s++) {
        const float *said = (const float *)steps.buf + 2 * s;
        if (said[0] != 0)
            for (Py_ssize_t r = 0; r < x.shape[0]; r++)
                value[r] *= said[1];
        else
            for (Py_ssize_t r = 0; r < x.shape[0]; r++)
                value[r] += said[1];
    }
    PyBuffer_Release(&x);
    PyBuffer_Release(&steps);
    return Py_NewRef(Py_None);
}

/* The logistic function as onnxruntime has it: the quotient of two polynomials that Eigen uses, x kept within 18 of 0.
 * Its builds differ in whether a product and a sum are rounded once (FUSED) and whether the result is kept within 0 and
 * 1 (CLAMPED): who uses this finds out by comparing. */
static const float over[] = {4.37031012579801e-11f, 1.15627324459942e-07f, 6.08574864600143e-05f,
                             8.51377133304701e-03f, 2.48287947061529e-01f};
static const float under[] = {6.10247389755681e-13f, 5.76102136993427e-09f, 6.29106785017040e-06f,
                              1.70198817374094e-03f, 1.16817656904453e-01f, 9.93151921023180e-01f};
#define FUSED 1
#define CLAMPED 2

#define LOGISTIC(NAME, MULTIPLY_ADD)                                                                                   \
    static inline float NAME(float x, int mode)                                                                        \
    {                                                                                                                  \
        x = x < -18.0f ? -18.0f : x;                                                                                   \
        x = x > 18.0f ? 18.0f : x;                                                                                     \
        float square = x * x, p = over[0], q = under[0];                                                               \
        for (int i = 1; i < 5; i++)                                                                                    \
            p = MULTIPLY_ADD(p, square, over[i]);                                                                      \
        for (int i = 1; i < 6; i++)                                                                                    \
            q = MULTIPLY_ADD(q, square, under[i]);                                                                     \
        float y = p * x / q + 0.5f;                                                                                    \
        if (mode & CLAMPED)                                                                                            \
            y = y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y;                                                                 \
        return y;                                                                                                      \
    }

#define TWICE_ROUNDED(a, b, c) ((a) * (b) + (c))
#define ONCE_ROUNDED(a, b, c) __builtin_fmaf(a, b, c)
LOGISTIC(logistic_plain, TWICE_ROUNDED)

#if defined(__GNUC__) && defined(__x86_64__)
#define HAS_FUSED __builtin_cpu_supports("fma")
#define FOR_FUSED __attribute__((target("fma")))
#elif defined(__GNUC__) && defined(__aarch64__)
#define HAS_FUSED 1
#define FOR_FUSED
#else
#define HAS_FUSED 0
#endif
#ifdef FOR_FUSED
FOR_FUSED LOGISTIC(logistic_fused, ONCE_ROUNDED)
#else
#define FOR_FUSED
#define logistic_fused logistic_plain
#endif

static void classify_plain(const float *x, Py_ssize_t rows, int mode, float *probability, int64_t *index)
{
    for (Py_ssize_t r = 0; r < rows; r++) {
        probability[2 * r] = logistic_plain(-x[r], mode);
        probability[2 * r + 1] = logistic_plain(x[r], mode);
        index[r] = probability[2 * r + 1] >= 0.5f;
    }
}

FOR_FUSED static void classify_fused(const float *x, Py_ssize_t rows, int mode, float *probability, int64_t *index)
{
    for (Py_ssize_t r = 0; r < rows; r++) {
        probability[2 * r] = logistic_fused(-x[r], mode);
        probability[2 * r + 1] = logistic_fused(x[r], mode);
        index[r] = probability[2 * r + 1] >= 0.5f;
    }
}

static PyObject *walker_classify(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    Py_buffer x, probability, index;
    long mode = count == 4 ? PyLong_AsLong(args[3]) : -1;
    if (mode < 0 || mode > (FUSED | CLAMPED)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "classify(score, probability, index, mode) takes three arrays and 0 to 3");
        return NULL;
    }
    if ((mode & FUSED) && !HAS_FUSED) {
        PyErr_SetString(PyExc_ValueError, "this processor does not round once");
        return NULL;
    }
    if (take_matrix(args[0], &x, "score", PyBUF_C_CONTIGUOUS, 1, 0) < 0)
        return NULL;
    if (take_matrix(args[1], &probability, "probability", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE, 2, 0) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    int done = PyObject_GetBuffer(args[2], &index, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
    if (done == 0) {
        Py_ssize_t rows = x.shape[0];
        if (index.ndim != 1 || index.itemsize != 8 || !index.format || !strchr("lq", index.format[0]) ||
            index.shape[0] != rows || probability.shape[0] != rows) {
            PyErr_SetString(PyExc_ValueError, "index must be int64 of shape (N,), and all of the same N");
            done = -1;
        } else if (mode & FUSED) {
            classify_fused(x.buf, rows, (int)mode, probability.buf, index.buf);
        } else {
            classify_plain(x.buf, rows, (int)mode, probability.buf, index.buf);
        }
        PyBuffer_Release(&index);
    }
    PyBuffer_Release(&probability);
    PyBuffer_Release(&x);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the module ------------------------------------------------------------------------------------------------ */

static PyObject *walker_features(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(((Walker *)self)->features);
}

static PyObject *walker_targets(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(((Walker *)self)->targets);
}

static PyMethodDef walker_methods[] = {
    {"score", (PyCFunction)(void (*)(void))walker_score, METH_FASTCALL,
     "score(x, out): walk every row of x (N, F) float32 and write the sums to out (N, K) float32."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef walker_fields[] = {
    {"features", walker_features, NULL, "F", NULL},
    {"targets", walker_targets, NULL, "K", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot walker_slots[] = {
    {Py_tp_doc, "Trees, ready to be walked. ValueError where they are no trees."},
    {Py_tp_new, walker_new},
    {Py_tp_dealloc, walker_dealloc},
    {Py_tp_methods, walker_methods},
    {Py_tp_getset, walker_fields},
    {0, NULL},
};

static PyType_Spec walker_spec = {
    "bessemer.package.trees._walker.Walker", sizeof(Walker), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, walker_slots,
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&walker_spec);
    if (type == NULL)
        return -1;
    int done = PyModule_AddObjectRef(module, "Walker", type);
    Py_DECREF(type);
    return done;
}

static PyMethodDef module_methods[] = {
    {"affine", (PyCFunction)(void (*)(void))walker_affine, METH_FASTCALL,
     "affine(x, steps): for each step (kind, c) of steps (M, 2) x * c (kind not 0) or x + c, in place; x is (N, 1)."},
    {"classify", (PyCFunction)(void (*)(void))walker_classify, METH_FASTCALL,
     "classify(score, probability, index, mode): (N, 1) -> (N, 2) of the logistic function, and (N,) where it is >= 0.5."},
    {"join", (PyCFunction)(void (*)(void))walker_join, METH_FASTCALL,
     "join(out, finite, part, ...): parts (N, C) float32 side by side into out; where finite is true, without infinities."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_walker", "Walking trees; see kernel.py.", 0, module_methods, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__walker(void)
{
    return PyModuleDef_Init(&module_def);
}
