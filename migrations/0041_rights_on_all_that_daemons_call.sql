-- Where an owner has taken from PUBLIC the right to call new functions, a save called one by an index without the right to, and so
-- did the steps of a generation.
GRANT EXECUTE ON FUNCTION bucket_of_total, definition_on_live TO orderdeck_app;
