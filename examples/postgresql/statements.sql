-- The shop's statements: weight, then the statement; words in braces are filled in with many values.
70 select * from orders where id = {id}
12 select c.name, sum(o.amount) from customers c join orders o on o.customer = c.id where c.region = {region} group by 1 order by 2 desc limit 10
8 select p.state, count(*), sum(p.amount) from orders o join orders p on p.customer = o.customer and p.id <> o.id where o.day between {day} and {day} + 2 group by 1
6 select c.region, count(*) from orders o join customers c on c.id = o.customer where o.day = {day} and o.amount > 500 group by 1
4 select distinct on (customer) customer, day, note from orders where day between {day} and {day} + 40 order by customer, day desc
