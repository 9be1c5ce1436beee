-- Sales by country. The columns are those of the fold's key and amounts.
CREATE TABLE country_sales (
    country  text          NOT NULL,
    currency text          NOT NULL,
    orders   bigint        NOT NULL,
    revenue  numeric       NOT NULL,
    PRIMARY KEY (country, currency)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, TRUNCATE ON country_sales TO orderdeck_app;
