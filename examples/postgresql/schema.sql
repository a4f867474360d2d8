-- A small shop: 20,000 customers, 300,000 orders over two years. About 60 MB, loaded in a few seconds.
create role shop login;
create database shop owner shop;
\connect - - - -
\connect shop
create table customers (id int primary key, region int not null, name text not null);
create table orders (
  id int primary key, customer int not null, day int not null, amount numeric(10, 2) not null, state int not null,
  note text not null
);
insert into customers select g, g % 50, md5(g::text) from generate_series(1, 20000) g;
insert into orders
  select g, 1 + (hashint4(g) & 2147483647) % 20000, (hashint4(g * 7) & 2147483647) % 730,
    ((hashint4(g * 13) & 2147483647) % 100000) / 100.0, (hashint4(g * 17) & 2147483647) % 5, repeat(md5(g::text), 3)
  from generate_series(1, 300000) g;
create index on orders (customer);
create index on orders (day);
grant select on all tables in schema public to shop;
vacuum (analyze);
checkpoint;
