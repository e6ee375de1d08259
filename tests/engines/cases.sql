-- SQL in DuckDB's dialect that every engine must answer as DuckDB does. Rows may come in any order.

--- all columns
select * from orders;

--- renamed and computed
select id, n + 1 as n1, n * 2.5 as scaled, -n as minus, big + n as "Big Sum" from orders;

--- exclude and replace
select * exclude (note, seen) replace (n + 1 as n) from orders;

--- division
select id, n / 2 as half, n / n as one, x / y as ratio, price / 3 as third, 1 / (n - n) as none from orders;

--- whole division and rest
select id, n // 2 as q, n % 3 as r, big // 7 as bq, big % 7 as br from orders;

--- decimals
select id, price * 2 as double, price + 1.5 as more, price * price as square, price > 2.5 as dear from orders;

--- rounding
select id, round(y) as r0, round(y, 2) as r2, round(y, -1) as r1, floor(y) as f, ceil(y) as c, trunc(y) as t
from orders;

--- rounding halves
select id, round(x) as r, round(x * 100, 1) as r1, abs(x) as a, sign(n) as s from orders where x < 100;

--- functions of numbers
select id, ln(y) as l, log10(y) as l10, log2(y) as l2, sqrt(y) as s, exp(n) as e, pow(n, 2) as p, n ** 3 as
cube from orders;

--- angles
select id, sin(n) as s, cos(n) as c, tan(n) as t, atan(n) as a, atan2(n, big) as a2, pi() as pi from orders;

--- special values
select id, isnan(x) as is_nan, isinf(x) as is_inf, isfinite(x) as fine, x > 1 as more from orders where x is
not null;

--- comparisons
select id, n = 5 as eq, n <> 5 as ne, n between -3 and 2 as inside, n in (1, 2, 5) as listed, n not in (1, 2)
as unlisted from orders;

--- nulls
select id, n is null as missing, coalesce(n, -1) as filled, ifnull(Shop, 'none') as shop, nullif(n, 5) as
nulled, n is distinct from 5 as other, greatest(n, 1) as g, least(n, big) as l from orders;

--- booleans
select id, paid and n > 0 as both, paid or n > 0 as any_of, not paid as unpaid, paid::int as p, cast(paid as
double) as pd, paid is true as surely from orders;

--- conditional
select id, case when n > 2 then 'many' when n > 0 then 'few' else 'none' end as band, if(paid, 1, 0) as flag,
case Shop when 'a' then 1 when 'b' then 2 end as code from orders;

--- texts
select id, lower(note) as l, upper(note) as u, length(note) as n, trim(note) as t, reverse(Shop) as r, note ||
'!' as exclaimed from orders;

--- parts of texts
select id, substr(note, 2, 3) as s, left(note, 2) as l, right(note, 2) as r, split_part(note, ',', 2) as p,
replace(note, ',', ';') as rep, strpos(note, 'r') as pos from orders;

--- texts with nulls
select id, concat(Shop, '-', note) as c, concat_ws('/', Shop, note) as w, Shop || '-' || note as j, concat(n,
':', paid) as mixed from orders;

--- patterns
select id, note like '%a%' as has_a, note ilike 'u%' as starts_u, starts_with(note, 'it') as s, contains(note,
'il') as c, regexp_matches(note, '[0-9a-c],') as m, regexp_full_match(note, '.*e') as f from orders;

--- translate and pad
select id, translate(note, 'abc', 'xyz') as t, lpad(Shop, 3, '*') as l, repeat(Shop, 2) as r, md5(note) as h
from orders;

--- parts of times
select id, extract(year from moment) as y, extract(month from moment) as m, extract(day from moment) as d,
extract(hour from moment) as h, extract(minute from moment) as mi, extract(second from moment) as s from
orders;

--- calendar
select id, extract(dow from moment) as dow, extract(isodow from moment) as iso, extract(doy from moment) as
doy, extract(week from moment) as week, extract(quarter from moment) as q, dayofweek(day) as dw, year(day) as
y from orders;

--- truncated times
select id, date_trunc('hour', moment) as h, date_trunc('day', moment) as d, date_trunc('week', moment) as w,
date_trunc('month', day) as m, date_trunc('year', moment) as y from orders;

--- arithmetic of times
select id, moment + interval 90 minute as later, moment - interval '1 day' as before, day + interval 1 month
as next, day - date '2013-01-01' as days from orders;

--- differences of times
select id, date_diff('hour', moment, timestamp '2013-01-06 03:00:00') as h, date_diff('day', day, date
'2014-01-01') as d, date_diff('month', moment, timestamp '2013-02-01 00:00:00') as m, date_diff('year',
moment, timestamp '2013-02-01 00:00:00') as y from orders;

--- made times
select id, make_timestamp(2013, 1, id::int, 2, 3, 4.5) as t, make_date(2013, 1, id::int) as d from orders;

--- epoch
select id, epoch(moment) as s, epoch_us(moment) as us, moment::date as d, moment > timestamp '2013-01-01' as
recent from orders;

--- zones
select id, seen, seen at time zone 'America/New_York' as there, moment at time zone 'Europe/Berlin' as
instant, extract(hour from seen at time zone 'Asia/Tokyo') as tokyo from orders;

--- formatted times
select id, strftime(moment, '%Y-%m-%d') as day, strftime(moment, '%H:%M') as time, cast(day as varchar) as
text from orders;

--- casts
select id, n::varchar as t, cast('12' as int) as i, x::float as f, cast(y as decimal(12, 2)) as dec,
try_cast(note as int) as none, n::double as d from orders where x < 100 and abs(y) < 1000;

--- casts to whole numbers
select id, cast(x as int) as i, cast(x as bigint) as b, cast(price as int) as p from orders where x < 100;

--- text to values
select id, cast(concat('1', id) as bigint) as i, cast('2013-01-0' || id as date) as d, cast('2013-01-01 00:00:0' || id as timestamp) as t, cast(id || '.5' as double) as x from orders;

--- aggregates
select count(*) as rows, count(n) as n, sum(n) as s, avg(n) as a, min(n) as low, max(note) as high, sum(price)
as total, avg(price) as mean, count(distinct Shop) as shops, sum(big) as big from orders;

--- aggregates of booleans
select sum(paid::int) as paid, count_if(n > 0) as positive, bool_and(n is not null) as every, bool_or(paid) as
some, avg(case when paid then 1 else 0 end) as share from orders;

--- spread
select stddev(y) as s, stddev_pop(y) as sp, var_samp(y) as v, median(n) as m, quantile_cont(n, 0.25) as q,
corr(n, big) as c from orders;

--- groups
select Shop, count(*) as rows, sum(n) as s, max(moment) as latest, min(day) as first from orders group by Shop;

--- groups by all
select Shop, paid, extract(year from moment) as y, count(*) as rows from orders group by all;

--- groups by number and having
select Shop, count(*) as rows from orders group by 1 having count(*) > 1 order by 1;

--- filtered aggregates
select Shop, count(*) filter (where paid) as paid, sum(n) filter (where n > 0) as gains from orders group by
Shop;

--- nothing in an aggregate
select count(*) as rows, sum(n) as s, max(note) as m, count_if(n > 0) as c from orders where id > 100;

--- distinct
select distinct Shop, paid from orders;

--- texts together
select Shop, string_agg(note, '|' order by id) as notes from orders group by Shop;

--- greatest by
select Shop, arg_max(note, id) as last, arg_min(n, id) as first from orders group by Shop;

--- left join
select o.id, s.size, s.opened from orders o left join shops s on o.Shop = s.shop;

--- join using
select id, shop, size from orders left join shops using (shop);

--- inner join, star
select o.*, s.size from orders o join shops s on lower(o.Shop) = s.shop and s.size > 1;

--- full join
select o.id, s.size from orders o full join shops s on o.Shop = s.shop;

--- cross join
select o.id, s.shop from orders o cross join shops s where s.size > 2;

--- self join
select a.id, b.id as other from orders a join orders b on a.Shop = b.Shop and a.id < b.id;

--- with
with busy as (select Shop, count(*) as c from orders group by 1), big as (select * from busy where c > 1)
select o.id, b.c from orders o join big b using (Shop);

--- a name twice
with orders as (select * from orders where n > 0) select id, n from orders;

--- subqueries
select id, (select max(size) from shops) as top, n > (select avg(n) from orders) as above from orders where
Shop in (select shop from shops where size < 4);

--- exists
select id, n from orders o where exists (select 1 from shops s where s.shop = o.Shop and s.size > 1) and not
exists (select 1 from shops s where s.shop = o.note);

--- ranks
select id, row_number() over (order by id desc) as rn, rank() over (partition by Shop order by n) as r,
dense_rank() over (order by paid, Shop) as dr, ntile(3) over (order by id) as nt from orders;

--- windows
select id, lag(n) over (order by id) as before, lead(n, 2, 0) over (order by id) as after, sum(n) over
(partition by Shop order by id) as running, avg(y) over (order by id rows between 1 preceding and 1 following)
as moving, first_value(note) over (partition by Shop order by id) as first from orders;

--- ranks over nulls
select id, row_number() over (order by n) as up, row_number() over (order by n desc, id) as down from orders
where id <> 3 or n is null;

--- qualify
select Shop, id, n from orders qualify row_number() over (partition by Shop order by id desc) = 1;

--- limit
select id, n from orders order by n desc, id limit 3 offset 1;

--- limit with nulls
select id, n from orders order by n limit 8;

--- union
select id, n from orders where n > 0 union select id, n from orders where n < 3;

--- union all by name
select id, n from orders union all by name select size as n, shop from shops;

--- except and intersect
select Shop, 1 as k from orders except select shop, 1 from shops where size > 2 intersect select shop, 1 from
shops;

--- an alias used again
select id, n * 2 as twice, twice + 1 as more from orders where twice > 0;

--- from first
from orders select id, n where n > 0;

--- named with care
select id as "Order Id", n as "n'th", Shop as "ШОП" from orders;

--- text in quotes
select id, 'it''s `quoted` \ and "such"' as text, note = 'it''s' as same from orders;

--- comments
select id, -- the key
 n /* a number */ from orders;

--- flights, with departure
select make_timestamp(2013, 1, id::int, (1030 + n) // 100, (1030 + n) % 100, 0) as sched, price > 2.5 as late,
size from orders o left join shops s on s.shop = o.Shop where n is not null;

--- spaces around texts
select id, trim('	' || note || ' 	') as t from orders;

--- one end of texts
select id, ltrim('  ' || note) as l, rtrim(note || '	 ') as r, trim(note, 'Ga') as c from orders;

--- a named window
select id, sum(n) over w as s, row_number() over w as r from orders window w as (partition by Shop order by id);

--- windows without an order
select id, sum(n) over (partition by Shop) as s, count(*) over () as c from orders;

--- like with underscores
select id, note like '%,_,c' as l, note not like '% %' as m from orders;

--- times as texts
select id, cast(moment as varchar) as m, concat(day, ' ', moment) as both from orders;
