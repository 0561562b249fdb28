/* Draws from NumPy's own bit generators, to the bits of RandomState's methods. */

/* OUT mask (size,) = rand(size) < keep_ratio. */
static void NAME(draw_mask)(void *generator, double keep_ratio, uint8_t *mask, idx size)
{
    bitgen_t *from = generator;
    for (idx i = 0; i < size; i++) mask[i] = from->next_double(from->state) < keep_ratio;
}

/* An integer in [0, max], as RandomState draws it: the lowest of as many bits as max has, again while it is larger. */
INLINE uint64_t NAME(draw_below)(bitgen_t *from, uint64_t max)
{
    uint64_t mask = max, value;
    for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    do value = (max <= 0xffffffff ? from->next_uint32(from->state) : from->next_uint64(from->state)) & mask;
    while (value > max);
    return value;
}

/* INOUT rows (n,), as RandomState.shuffle leaves them. */
static void NAME(shuffle_rows)(void *generator, intptr_t *rows, idx n)
{
    for (idx i = n - 1; i > 0; i--) {
        idx j = (idx)NAME(draw_below)(generator, (uint64_t)i);
        intptr_t row = rows[i];
        rows[i] = rows[j];
        rows[j] = row;
    }
}
