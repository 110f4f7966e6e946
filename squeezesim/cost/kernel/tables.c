/* Tables: costs of tiles on the array, each found once for a problem, with what they make of whole tilings; numbers by
 * key. */

#include <stdlib.h>
#include <string.h>

#include "search.h"

typedef struct Known {
    Tile tile;
    TileCost cost;
} Known;

enum { FIRST_CAPACITY = 1 << 10 };

bool table_init(Table *table) {
    table->count = 0;
    table->capacity = FIRST_CAPACITY;
    table->mask = 2 * FIRST_CAPACITY - 1;
    table->entries = malloc(table->capacity * sizeof(Known));
    table->slots = calloc(table->mask + 1, sizeof(uint32_t));
    return table->entries && table->slots;
}

void table_free(Table *table) {
    free(table->entries);
    free(table->slots);
}

void table_clear(Table *table) {
    table->count = 0;
    memset(table->slots, 0, (table->mask + 1) * sizeof(uint32_t));
}

static size_t hash_of(const Tile *tile) {
    const int64_t *sizes = &tile->n;
    uint64_t mixed = 0;
    for (int axis = 0; axis < AXES; axis++) {
        mixed = (mixed ^ (uint64_t)sizes[axis]) * 0x9E3779B97F4A7C15u;
        mixed ^= mixed >> 29;
    }
    return (size_t)mixed;
}

static size_t free_slot(const Table *table, const Tile *tile) {
    size_t at = hash_of(tile) & table->mask;
    while (table->slots[at]) at = (at + 1) & table->mask;
    return at;
}

static bool table_grow(Table *table) {
    size_t capacity = table->capacity * 2, slots = 2 * capacity;
    Known *entries = realloc(table->entries, capacity * sizeof(Known));
    if (!entries) return false;
    table->entries = entries;
    uint32_t *empty = capacity > UINT32_MAX ? NULL : calloc(slots, sizeof(uint32_t));
    if (!empty) return false;
    free(table->slots);
    table->slots = empty;
    table->capacity = capacity;
    table->mask = slots - 1;
    for (size_t index = 0; index < table->count; index++)
        table->slots[free_slot(table, &entries[index].tile)] = (uint32_t)(index + 1);
    return true;
}

const TileCost *tile_cost(State *s, int number, const Tile *tile) {
    Table *table = &s->tables[number];
    for (size_t at = hash_of(tile) & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
        const Known *known = &table->entries[table->slots[at] - 1];
        if (!memcmp(&known->tile, tile, sizeof(Tile))) return &known->cost;
    }
    if (table->count == table->capacity && !table_grow(table)) {
        static const TileCost nothing;
        s->failed = true;
        return &nothing;
    }
    Known *known = &table->entries[table->count++];
    table->slots[free_slot(table, tile)] = (uint32_t)table->count;
    known->tile = *tile;
    const Flow *flow = &s->in->flow[number];
    if (flow->kind == OF_WS) ws_tile(&s->problem, s->in->array, tile, &known->cost);
    else if (flow->kind == OF_OS) os_tile(&s->problem, s->in->array, tile, &known->cost);
    else unit_tile(&s->problem, flow->unit, tile, &known->cost);
    return &known->cost;
}

/* Bits between buffer and array, those of sums that begin among the reads. */
static double buffer_bits(const Problem *p, const TileCost *cost) {
    double sums = 2 * cost->words[BUFFER_PSUMS] * (double)p->accumulator_bits;
    return cost->words[BUFFER_INPUTS] * (double)p->activation_bits +
           cost->words[BUFFER_WEIGHTS] * (double)p->weight_bits + sums;
}

/* Axes whose last tile differs from the others. */
static unsigned uneven_of(const State *s, const Tiling *t) {
    /* Outputs are finished with the last input channels. */
    bool finishes = s->problem.post_cycles || s->in->memory->accumulators;
    unsigned uneven = (unsigned)(finishes && t->tiles[AXIS_C] > 1) << AXIS_C;
    for (int axis = 0; axis < AXES; axis++)
        uneven |= (unsigned)((&t->size.n)[axis] != (&t->last.n)[axis]) << axis;
    return uneven;
}

/* The tile that is the last along axes *last*, and how many there are. */
static double tile_of(const State *s, const Tiling *t, unsigned uneven, unsigned last, Tile *tile) {
    double count = 1;
    *tile = t->size;
    tile->unfinished = s->in->memory->accumulators && t->tiles[AXIS_C] > 1 && !(last >> AXIS_C & 1);
    for (int axis = 0; axis < AXES; axis++) {
        double tiles = (double)t->tiles[axis];
        if (last >> axis & 1) (&tile->n)[axis] = (&t->last.n)[axis];
        else count *= uneven >> axis & 1 ? tiles - 1 : tiles;
    }
    return count;
}

bool array_at_least(const State *s, int flow, const Tiling *t, OnArray *array) {
    const Unit *unit = s->in->flow[flow].unit;
    int64_t kind = s->in->flow[flow].kind;
    if (kind == OF_UNIT ? !unit_chooses(unit) : !s->in->array->chooses_blocks) return false;
    array->total = 0;
    array->uneven = uneven_of(s, t);
    for (unsigned last = array->uneven;; last = (last - 1) & array->uneven) {
        Tile tile;
        double count = tile_of(s, t, array->uneven, last, &tile);
        double cycles = kind == OF_UNIT ? unit_least(&s->problem, unit, &tile)
                                        : (kind == OF_OS ? os_least : ws_least)(&s->problem, s->in->array, &tile);
        array->count[last] = count;
        array->cycles[last] = array->begins[last] = cycles;
        array->total += count * cycles;
        if (!last) return true;
    }
}

void array_of(State *s, int flow, const Tiling *t, OnArray *array) {
    const Problem *p = &s->problem;
    array->total = 0;
    array->uneven = uneven_of(s, t);
    memset(array->words, 0, sizeof array->words);
    for (unsigned last = array->uneven;; last = (last - 1) & array->uneven) {
        Tile tile;
        double count = tile_of(s, t, array->uneven, last, &tile);
        const TileCost *cost = tile_cost(s, flow, &tile);
        array->count[last] = count;
        double cycles = (double)cost->cycles;
        if (p->post_cycles && (t->tiles[AXIS_C] == 1 || (last >> AXIS_C & 1))) cycles = larger(cycles, passed(p, &tile));
        array->cycles[last] = array->begins[last] = cycles;
        if (s->in->memory->is_limited) {
            double bits = buffer_bits(p, cost), rate = s->rates->buffer_bits_per_cycle;
            double started = (double)(tile.n * tile.y * tile.x * tile.g * tile.k) * (double)p->accumulator_bits;
            if (s->in->memory->accumulators) { /* sums that wait in the array are never read from the buffer */
                bits -= tile.unfinished ? 0 : started;
                started = 0;
            }
            array->cycles[last] = larger(array->cycles[last], rounded_to_integer(bits / rate));
            array->begins[last] = larger(array->begins[last], rounded_to_integer((bits - started) / rate));
        }
        array->total += count * array->begins[last];
        for (int access = 0; access < ACCESSES; access++) array->words[access] += count * cost->words[access];
        if (!last) break;
    }
}

/* ---- numbers by key ---------------------------------------------------------------------------------------------- */

static bool seen_make(Seen *seen, size_t slots) {
    seen->count = 0;
    seen->mask = slots - 1;
    seen->keys = malloc(slots * sizeof(int64_t));
    seen->values = malloc(slots * sizeof(double));
    if (!seen->keys || !seen->values) return false;
    memset(seen->keys, 0xff, slots * sizeof(int64_t));
    return true;
}

bool seen_init(Seen *seen) { return seen_make(seen, 2 * FIRST_CAPACITY); }

void seen_free(Seen *seen) {
    free(seen->keys);
    free(seen->values);
}

void seen_clear(Seen *seen) {
    if (seen->count) memset(seen->keys, 0xff, (seen->mask + 1) * sizeof(int64_t));
    seen->count = 0;
}

static size_t place_of(const Seen *seen, int64_t key) {
    uint64_t mixed = (uint64_t)key * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(mixed ^ (mixed >> 29)) & seen->mask;
    while (seen->keys[at] >= 0 && seen->keys[at] != key) at = (at + 1) & seen->mask;
    return at;
}

double seen_find(const Seen *seen, int64_t key) {
    size_t at = place_of(seen, key);
    return seen->keys[at] == key ? seen->values[at] : 0;
}

bool seen_enter(Seen *seen, int64_t key, double value) {
    if (2 * seen->count > seen->mask) {
        Seen more;
        if (!seen_make(&more, 2 * (seen->mask + 1))) {
            seen_free(&more);
            return false;
        }
        for (size_t at = 0; at <= seen->mask; at++)
            if (seen->keys[at] >= 0) seen_enter(&more, seen->keys[at], seen->values[at]);
        seen_free(seen);
        *seen = more;
    }
    size_t at = place_of(seen, key);
    seen->count += seen->keys[at] != key;
    seen->keys[at] = key;
    seen->values[at] = value;
    return true;
}
